"""`dualrun report`: what the shadows showed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.exit_code import ExitCode
from gateway.cli.option import IntervalOption, WatchOption
from gateway.cli.output import print_table, print_yaml
from gateway.cli.session import on_gateway
from gateway.cli.watching import watched

__all__ = ["report"]


class ReportFormat(StrEnum):
    """How the report is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    JUNIT = "junit"


class FailOn(StrEnum):
    """What a build is to fail on. Each takes in those before it."""

    DIFFERENT = "different"
    """A difference no rule hides."""
    INCOMPLETE = "incomplete"
    """Outcomes missing or late, traces incomplete."""
    UNPROVEN = "unproven"
    """Too few comparisons to say anything."""


_DIFFERENT = frozenset({"differs"})
_INCOMPLETE = _DIFFERENT | {"incomplete"}
_FAILING = {FailOn.DIFFERENT: _DIFFERENT, FailOn.INCOMPLETE: _INCOMPLETE, FailOn.UNPROVEN: _INCOMPLETE | {"unproven", "no data"}}
_TASK_COLUMNS = ("task", "stands", "n", "differ", "at most", "p95 ms", "shadow")
_GROUP_COLUMNS = ("count", "path", "what", "fingerprint", "triage")


@on_gateway
def report(
    gateway: GatewayClient,
    task: Annotated[str | None, typer.Argument(help="One task; every shadowed task where left out.")] = None,
    since: Annotated[str | None, typer.Option(help="From this instant on (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option(help="Up to this instant (RFC 3339).")] = None,
    flag_version: Annotated[int | None, typer.Option(help="Only submissions decided by this version of the flags.")] = None,
    cohort: Annotated[str | None, typer.Option(help="Only submissions this targeting rule decided; '' for those no rule did.")] = None,
    cohort_key: Annotated[str | None, typer.Option(help="Only submissions with this cohort key, a tenant say; the latest ones.")] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            "--fail-on", help="Exit with 1 where a task is different, incomplete or unproven; a named one also where it has no data."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file instead of the terminal.")] = None,
    watch: WatchOption = False,
    interval_s: IntervalOption = 2.0,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="table, json, yaml, markdown, csv, junit (XML for builds), or one html page.")
    ] = ReportFormat.TABLE,
) -> None:
    """Show the shadow report: verdicts, what is proven, latency of both sides, difference groups.

    Example: dualrun report order.send_order_confirmation

    Example: dualrun report order.send_order_confirmation --format html -o report.html

    Example: dualrun report --since 2026-05-04T00:00Z --cohort beta-tenants

    Example: dualrun report --format junit -o shadow.xml --fail-on different
    """
    if watch and output is not None:
        raise typer.BadParameter("--watch shows on the terminal, --output writes a file once: give one of them", param_hint="--watch")
    version = None if flag_version is None else str(flag_version)
    asked = {"since": since, "until": until, "flag_version": version, "cohort": cohort, "cohort_key": cohort_key}
    scope = {name: value for name, value in asked.items() if value is not None}
    where = "/v1/reports/shadow" + (f"/{quote(task, safe='')}" if task else "")

    def read() -> dict[str, Any]:
        view: dict[str, Any] = gateway.read(f"{where}?{urlencode({**scope, 'format': 'json'})}")
        return view

    def rendered() -> str:
        return gateway.call("GET", f"{where}?{urlencode({**scope, 'format': format.value})}").text

    def print_view(view: Mapping[str, Any]) -> None:
        if format is ReportFormat.TABLE:
            _print_report(view)
        elif format is ReportFormat.YAML:
            print_yaml(dict(view))
        else:
            typer.echo(rendered())

    if watch:
        # The moment it was made at is no change.
        view = watched(lambda: {**read(), "generated_at": None}, print_view, interval_s=interval_s)
    else:
        view = read()
        if output is None:
            print_view(view)
        else:
            with output.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
                print_view(view)
            typer.echo(f"written to {output}")
    if fail_on is not None and _is_failing(view, fail_on, is_named=task is not None):
        raise typer.Exit(ExitCode.NO)


def _is_failing(view: Mapping[str, Any], fail_on: FailOn, *, is_named: bool) -> bool:
    # A build that names a task asks about that one: nothing known of it, or a name nobody has, is no pass.
    failing = _FAILING[fail_on] | (frozenset({"no data"}) if is_named else frozenset())
    return any(part["tone"] in failing for part in view["tasks"])


def _print_report(view: Mapping[str, Any]) -> None:
    typer.echo(f"Shadow report: {view['headline']}\n")
    if not view["tasks"]:
        return typer.echo("Put a task in shadow first: dualrun flags set TASK --mode shadow --shadow-percent 100 --safety sandboxed")
    print_table(_TASK_COLUMNS, (_task_row(part) for part in view["tasks"]))
    waiting = sum(part["pending"] for part in view["tasks"])
    typer.echo(f"at most: the share that may differ, by n comparisons, with 95 % confidence. {waiting} wait for an outcome.")
    for part in view["tasks"]:
        groups = [group for group in part["groups"] if group["ignored_by"] is None]
        if groups:
            typer.echo(f"\n{part['task']}: {part['verdict']}")
            print_table(_GROUP_COLUMNS, ([group[name] for name in ("count", "path", "says", "fingerprint", "triage")] for group in groups))
    return None


def _task_row(part: Mapping[str, Any]) -> list[object]:
    latency = part["latency"]
    times = [_milliseconds(latency[role]["p95_ms"]) for role in ("authority", "shadow")]
    bound = f"{100 * part['mismatch_bound']:.3g} %" if part["compared"] else ""
    return [part["task"], part["tone"], part["compared"], part["different"], bound, *times]


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
