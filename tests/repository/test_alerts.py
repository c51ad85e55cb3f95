"""Alert rules and dashboard ask for what the processes tell, and the runbook has an answer to each alert."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from event_handlers.schedule.health import SchedulerHealth
from event_handlers.schedule.scheduler import Scheduler
from event_handlers.worker_report import WorkerReport, metrics_text
from gateway.gating import GateWatch
from gateway.metrics import registry_of
from legacy_celery.worker_health import WorkerHealth
from tests.support.gateway_parts import memory_gateway
from tests.support.gating import Way
from tests.support.processes import REPOSITORY

CONFIG = REPOSITORY / "config"
RULES = [rule for group in yaml.safe_load((CONFIG / "prometheus" / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((CONFIG / "grafana" / "dualrun.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RUNBOOK = (REPOSITORY / "docs" / "operate.md").read_text()
OF_PROMETHEUS = {"up"}
SAMPLES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


@pytest.fixture
async def told(tmp_path: Path) -> set[str]:
    """The name of every sample that any process tells."""
    way = Way()
    async with memory_gateway() as gateway:
        watch = GateWatch(gate=way.comparator(), workers=way.watch(), interval_s=60.0)
        scheduler = Scheduler(None, (), None, service="shop")  # type: ignore[arg-type]  # it publishes nothing here
        texts = [
            gateway.services.metrics.expose(),
            generate_latest(registry_of(lambda: {**gateway.comparator.counts(), **watch.counts()}, watch)),
            metrics_text(WorkerReport(), service="shop", processes=1, restarts=0),
            SchedulerHealth(scheduler, "shop", schedules=0).metrics(),
            WorkerHealth("shop", tmp_path, lambda: None).metrics(),
        ]
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", b"".join(texts).decode(), re.MULTILINE)
    return {f"{name}{suffix}" for name, kind in kinds for suffix in SAMPLES.get(kind, ("",))}


def selected(expression: object) -> Iterator[str]:
    """The metrics a PromQL expression reads, whatever it is made of."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield str(expression.name)
        return
    for member in ("lhs", "rhs", "expr", "param", "vector_selector"):
        if getattr(expression, member, None) is not None:
            yield from selected(getattr(expression, member))
    for argument in getattr(expression, "args", ()):
        yield from selected(argument)


def metrics_in(query: str) -> set[str]:
    made = query.replace("$__rate_interval", "5m").replace("$task", ".*")
    found = set(selected(promql_parser.parse(made)))
    assert found, query
    return found


async def test_every_alert_reads_metrics_that_exist(told: set[str]) -> None:
    unknown = {rule["alert"]: missing for rule in RULES if (missing := metrics_in(rule["expr"]) - told - OF_PROMETHEUS)}
    assert unknown == {}


async def test_every_panel_reads_metrics_that_exist(told: set[str]) -> None:
    queries = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in PANELS}
    unknown = {title: set().union(*map(metrics_in, found)) - told - OF_PROMETHEUS for title, found in queries.items()}
    assert {title: missing for title, missing in unknown.items() if missing} == {}


def test_every_alert_says_how_urgent_it_is_and_what_happened() -> None:
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}
    assert all(rule["annotations"]["summary"] for rule in RULES)
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)


def test_the_runbook_has_a_heading_for_each_alert_and_no_other() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in RULES)


def test_panels_are_told_apart_and_do_not_lie_on_one_another() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_process_has_a_job() -> None:
    jobs = {job["job_name"] for job in yaml.safe_load((CONFIG / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]}
    assert {"gateway", "comparator", "event-worker", "celery-worker", "scheduler"} <= jobs
