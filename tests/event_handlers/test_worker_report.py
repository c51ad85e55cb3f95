"""What worker processes say of themselves, together and to Prometheus."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dualrun.health import answer
from event_handlers.worker_report import WorkerReport, metrics_text, total

NAMES = st.sampled_from(["authority", "shadow"])
NUMBERS = st.integers(0, 5)
REPORTS = st.builds(
    WorkerReport,
    is_ready=st.booleans(),
    running=st.dictionaries(NAMES, NUMBERS),
    waiting=st.dictionaries(NAMES, NUMBERS),
    counts=st.dictionaries(NAMES, st.dictionaries(st.sampled_from(["handled", "failed"]), NUMBERS)),
    seconds=st.dictionaries(st.sampled_from(["a.b", "c"]), st.tuples(NUMBERS, st.integers(0, 9).map(float))),
)


class Asked:
    """A worker with given answers."""

    def __init__(self, fault: str | None = None, not_ready: str | None = None) -> None:
        self._fault, self._not_ready = fault, not_ready

    def fault(self) -> str | None:
        return self._fault

    def not_ready(self) -> str | None:
        return self._not_ready

    def metrics(self) -> bytes:
        return b"dualrun_events_total 1\n"


def asked(path: str, worker: Asked, method: str = "GET") -> tuple[int, bytes]:
    head, _, body = answer(f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode(), worker).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head or method == "HEAD"
    return int(head.split()[1]), body


@given(st.lists(REPORTS, max_size=4))
def test_a_total_counts_what_each_counted(reports: list[WorkerReport]) -> None:
    summed = total(reports)
    assert summed.is_ready == all(report.is_ready for report in reports)
    for role in ("authority", "shadow"):
        assert summed.running.get(role, 0) == sum(report.running.get(role, 0) for report in reports)
        for result in ("handled", "failed"):
            assert summed.counts.get(role, {}).get(result, 0) == sum(report.counts.get(role, {}).get(result, 0) for report in reports)
    assert summed.seconds.get("c", (0, 0))[0] == sum(report.seconds.get("c", (0, 0.0))[0] for report in reports)


@given(REPORTS)
def test_a_process_that_is_gone_leaves_its_counts_and_nothing_else(report: WorkerReport) -> None:
    left = report.ended()
    assert (left.counts, left.seconds) == (report.counts, report.seconds)
    assert (left.is_ready, left.running, left.waiting) == (False, {}, {})


def test_metrics_are_in_prometheus_text_format() -> None:
    report = WorkerReport(
        running={"authority": 2}, counts={"authority": {"handled": 7}}, seconds={'we"ird\\': (3, 0.25)}, waiting={"shadow": 1}
    )
    lines = metrics_text(report, service="shop", processes=2, restarts=1).decode().splitlines()
    assert 'dualrun_events_total{service="shop",role="authority",result="handled"} 7' in lines
    assert 'dualrun_events_running{service="shop",role="authority"} 2' in lines
    assert 'dualrun_handler_seconds_count{service="shop",task="we\\"ird\\\\"} 3' in lines
    assert 'dualrun_handler_seconds_sum{service="shop",task="we\\"ird\\\\"} 0.250000' in lines
    assert 'dualrun_worker_restarts_total{service="shop"} 1' in lines
    announced = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert all(any(line.startswith(name) for name in announced) for line in lines if not line.startswith("#"))


def test_health_says_why_not() -> None:
    assert asked("/healthz", Asked()) == (200, b"ok\n")
    assert asked("/readyz?x=1", Asked(not_ready="1 of 2 processes consume")) == (503, b"1 of 2 processes consume\n")
    assert asked("/healthz", Asked(not_ready="it does not consume")) == (200, b"ok\n")
    assert asked("/healthz", Asked(fault="not heard of")) == asked("/readyz", Asked(fault="not heard of")) == (503, b"not heard of\n")
    assert asked("/metrics", Asked()) == (200, b"dualrun_events_total 1\n")


def test_what_is_not_there_is_said_so() -> None:
    assert asked("/", Asked())[0] == 404
    assert asked("/healthz", Asked(), "POST")[0] == 405
    assert asked("/healthz", Asked(), "HEAD") == (200, b"")
    assert answer(b"\x16\x03\x01", Asked()).startswith(b"HTTP/1.1 405")
