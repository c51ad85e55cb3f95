"""A task is called pure where that is proven, and nowhere else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.migrate import read_path
from gateway.migrate.generate.plan import Plan, plan_files
from tests.support.generated import APP

HEAD = f"""
import datetime, functools, json, logging, os, re
import elasticsearch, redis, requests, stripe
from somewhere import clients, task_made
{APP}
session = requests.Session()
cache = redis.Redis()
es = elasticsearch.Elasticsearch()
state = {{}}
seen: list = []
NAMES = ("a", "b")
logger = logging.getLogger(__name__)

def audit(function):
    @functools.wraps(function)
    def inner(*args):
        requests.post("https://audit.example", json=args)
        return function(*args)
    return inner

def twice(function):
    def inner(*args):
        return [function(*args), function(*args)]
    return inner

def upper(text):
    return text.strip().upper()

def asked(client):
    return client.get("https://x.example")

"""


def plan_of(tmp_path: Path, function: str) -> Plan:
    (tmp_path / "proj.py").write_text(f"{HEAD}{function}", encoding="utf-8")
    return plan_files(read_path(tmp_path), source="proj")


@pytest.mark.parametrize(
    ("function", "safety"),
    [
        ("def t(url): return session.get(url).json()", "sandboxed"),
        ("def t(url):\n    own = requests.Session()\n    return own.get(url)", "sandboxed"),
        ("def t(key): return cache.pop(key)", "sandboxed"),
        ("def t(urls): return list(map(requests.post, urls))", "unsafe"),
        ("def t(urls):\n    send = requests.post\n    return [send(url) for url in urls]", "unsafe"),
        ("def t(urls): return sorted(urls, key=clients.rank)", "unsafe"),
        ("def t(document): es.index(index='x', document=document)", "unsafe"),
        ("def t(key): stripe.Customer.update(key, name='x')", "unsafe"),
        ("def t(user, group): user.groups.add(group)", "unsafe"),
        ("def t(rows): rows.update(sent=True)", "unsafe"),
        ("def t(key): return clients.api.get(key)", "unsafe"),
        ("def t(key): return asked(clients.api)", "unsafe"),
        ("def t(key):\n    def inner(client): return client.get(key)\n    return inner(clients.api)", "unsafe"),
        ("def t(key):\n    found = []\n    found.append(clients.api)\n    return [one.get(key) for one in found]", "unsafe"),
        ("def t(key):\n    found = {}\n    found['a'] = clients.api\n    return found['a'].get(key)", "unsafe"),
        ("def t(value): state['value'] = value", "unsafe"),
        ("def t(value): state.update(value=value)", "unsafe"),
        ("def t(value): seen.append(value)", "unsafe"),
        ("def t(value): del state[value]", "unsafe"),
        ("def t(value): clients.last = value", "unsafe"),
    ],
)
def test_what_may_reach_out_is_not_pure_and_does_not_block_the_loop(tmp_path: Path, function: str, safety: str) -> None:
    plan = plan_of(tmp_path, f"@app.task(name='t')\n{function}\n")
    (module,) = plan.modules
    assert module.in_thread
    assert f"t: {{mode: legacy, safety: {safety}}}" in plan.files["flags.yaml"]


def test_a_class_that_keeps_state_is_not_pure(tmp_path: Path) -> None:
    function = "from celery import Task\nclass T(Task):\n    name = 't'\n    def run(self, x):\n        self.n = x\napp.register_task(T())"
    assert "safety: unsafe" in plan_of(tmp_path, function).files["flags.yaml"]


@pytest.mark.parametrize(("decorator", "safety"), [("audit", "sandboxed"), ("twice", "pure"), ("clients.checked", "unsafe")])
def test_a_decorator_below_counts_as_what_it_does(tmp_path: Path, decorator: str, safety: str) -> None:
    plan = plan_of(tmp_path, f"@app.task(name='t')\n@{decorator}\ndef t(x): return x\n")
    assert f"t: {{mode: legacy, safety: {safety}}}" in plan.files["flags.yaml"]


@pytest.mark.parametrize(
    "function",
    [
        "def t(x): return x + 1",
        "def t(text): return text.strip().split(',')[0].upper()",
        "def t(rows: list, seen: dict[str, int]):\n    rows.sort()\n    seen.update(a=1)\n    return rows",
        "def t(data): return [row.get('a') for row in data.values()]",
        "def t(names):\n    found = {}\n    for name in names:\n        found.setdefault(name, []).append(1)\n    return found",
        "def t(names): return sorted(names, key=lambda name: name.lower())",
        "def t(names):\n    def key(name): return name.lower()\n    return sorted(names, key=key)",
        "def t(text): return upper(text).lower()",
        "def t(text): return json.loads(text).get('a')",
        "def t(text):\n    found = re.match('a', text)\n    return found.group(1) if found else NAMES.index('a')",
        "def t(x): logger.info('x %s', x)",
        "def t(names):\n    text = ''\n    for name in names:\n        text = text + name.strip()\n    return text.upper()",
        "def t(names):\n    found = {}\n    for name in names:\n        found.setdefault(name[0], []).append(name)\n    return found",
        "def t(at: datetime.datetime): return (datetime.datetime.max - at).total_seconds()",
        "def t(x): return float(os.environ.get('X', '1')) * x",
        "def t(x, error=None):\n    try:\n        return int(x)\n    except ValueError as exc:\n        return str(exc)",
    ],
)
def test_work_on_plain_values_is_pure(tmp_path: Path, function: str) -> None:
    plan = plan_of(tmp_path, f"@app.task(name='t')\n{function}\n")
    assert "t: {mode: legacy, safety: pure}" in plan.files["flags.yaml"], plan.modules[0].touches
    assert not plan.modules[0].in_thread


def test_names_made_of_one_another_cost_no_more_than_they_are(tmp_path: Path) -> None:
    lines = "".join(f"    a = a.strip() + b.strip()\n    b = [a, b, a, b]\n    c{n} = lambda x: (x, a, b)\n" for n in range(300))
    started = time.monotonic()
    plan_of(tmp_path, f"@app.task(name='t')\ndef t(a, b):\n{lines}    return a\n")
    assert time.monotonic() - started < 20
