"""What the capture costs a task: the same work in a process without it, with it, recorded, and as a shadow.

Each task (the fastest of several rounds) runs against real local servers, in a process of its own for each column: the patches cannot be
taken out again. Needs PostgreSQL (`DUALRUN_TEST_POSTGRES_URL`) and Redis (`DUALRUN_REDIS_URL`). Run: `make bench NAME=capture`.
"""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import psycopg2
import redis

from benchmarks.machine import machine
from dualrun.contracts import Role, Side
from dualrun.effects import execution, install

RESULTS = Path(__file__).parent / "results" / "capture.json"
COLUMNS = ("without", "installed", "authority", "recorded", "shadow")
ROUNDS, ROUND_S = 3, 0.1
TABLE = "dualrun_capture_bench"
DATABASE = urlsplit(os.environ.get("DUALRUN_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"))
CACHE = os.environ.get("DUALRUN_REDIS_URL", "redis://127.0.0.1:6379/0")

Task = Callable[[], object]


def main() -> None:
    """Measure each column in a process of its own, print the table, write the JSON."""
    columns = {}
    for column in COLUMNS:
        done = subprocess.run([sys.executable, "-m", "benchmarks.capture", column], check=True, capture_output=True, text=True)
        columns[column] = json.loads(done.stdout)
    rows = [{"task": task, **{column: columns[column][task] for column in COLUMNS}} for task in columns["without"]]
    report = {"machine": machine("httpx", "psycopg", "psycopg2-binary", "redis"), "unit": "us of processor time a task", "rows": rows}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{'us of processor time a task':30}" + "".join(f"{column:>12}" for column in COLUMNS))
    for row in rows:
        print(f"{row['task']:30}" + "".join(f"{row[column]:>12}" for column in COLUMNS))


def _measure(column: str) -> None:
    if column != "without":
        install()
    role = Role.SHADOW if column == "shadow" else Role.AUTHORITY
    with _tasks() as tasks:
        times: dict[str, float] = {}
        for name, task in tasks.items():
            work = task if column in {"without", "installed"} else _within(task, role, recorded=column == "recorded")
            times[name] = round(min(_per_call_us(work) for _ in range(ROUNDS)), 1)
    print(json.dumps(times))


def _within(task: Task, role: Role, *, recorded: bool) -> Task:
    def work() -> None:
        with execution(role=role, side=Side.LEGACY, submission_id="s", task="t", recorded=recorded):
            task()

    return work


def _per_call_us(call: Task) -> float:
    """Processor time of this process, the little web server in it included: waiting for a server is the same in every column."""
    call()
    calls, started = 0, time.process_time()
    while time.process_time() - started < ROUND_S:
        call()
        calls += 1
    return (time.process_time() - started) / calls * 1e6


@contextmanager
def _tasks() -> Iterator[dict[str, Task]]:
    url = DATABASE._replace(scheme="postgresql").geturl()
    with ExitStack() as stack:
        web = stack.enter_context(_web())
        client = stack.enter_context(httpx.Client())
        newer = stack.enter_context(psycopg.connect(url))
        older = psycopg2.connect(url)
        stack.callback(older.close)
        cache = stack.enter_context(redis.Redis.from_url(CACHE))
        # Without the disk, the client's part shows.
        newer.execute("SET synchronous_commit = off")
        with older, older.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        newer.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, n INTEGER)")
        newer.execute(f"INSERT INTO {TABLE} VALUES (1, 0), (2, 0) ON CONFLICT DO NOTHING")
        newer.commit()

        def by_psycopg() -> None:
            newer.execute(f"UPDATE {TABLE} SET n = n + 1 WHERE id = %s", (1,))
            newer.commit()

        def by_psycopg2() -> None:
            with older, older.cursor() as cursor:
                cursor.execute(f"UPDATE {TABLE} SET n = n + 1 WHERE id = %s", (2,))

        yield {
            "nothing": lambda: None,
            "computing (sum of 10,000)": lambda: sum(range(10_000)),
            "httpx POST": lambda: client.post(web, json={"order": 7}),
            "psycopg UPDATE, COMMIT": by_psycopg,
            "psycopg2 UPDATE, COMMIT": by_psycopg2,
            "redis SET": lambda: cache.set(TABLE, "7", ex=60),
        }
        newer.rollback()
        newer.execute(f"DROP TABLE {TABLE}")
        newer.commit()
        cache.delete(TABLE)


@contextmanager
def _web() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 8192

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/orders"
    server.shutdown()


if __name__ == "__main__":
    _measure(sys.argv[1]) if len(sys.argv) > 1 else main()
