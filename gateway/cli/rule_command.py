"""`dualrun rules`: which there are and what each hides; and which ones control runs suggest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from dualrun.contracts import JsonValue
from gateway.cli.client import GatewayClient
from gateway.cli.exit_code import ExitCode
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.refusal import Refused
from gateway.cli.session import on_gateway
from gateway.comparison import Rule, TaskRules
from gateway.core.errors import RulesRejected
from gateway.core.noise import CONTROL_RUNS_MIN
from gateway.rules import load_rules
from gateway.rules.addition import add_rules, rules_text

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Comparison rules: what each hides, and which ones control runs suggest.")
_COLUMNS = ("task", "id", "path", "owner", "reason", "expires", "hid")
_Task = Annotated[str | None, typer.Argument(help="One task; every task where left out.")]
_Rules = Annotated[
    Path, typer.Option("--rules", envvar="DUALRUN_RULES_DIR", help="The folder of rule files.", exists=True, file_okay=False)
]
_FOLDER = Path("config/rules")


@app.command("list", short_help="Every rule, and how often it hid a difference.")
@on_gateway
def list_rules(gateway: GatewayClient, task: _Task = None, rules: _Rules = _FOLDER, format: FormatOption = Format.TABLE) -> None:
    """Show every rule with its owner, its reason, its last day, and in how many submissions it hid a difference.

    Example: dualrun rules list reports.daily_report
    """
    try:
        book = load_rules(rules)
    except RulesRejected as exc:
        raise Refused(str(exc), ExitCode.WRONG) from exc
    hidden = _hidden(_tasks(gateway, task))
    lines: list[dict[str, JsonValue]] = [
        {
            "task": name,
            "id": rule.id,
            "path": rule.path,
            "owner": rule.owner,
            "reason": rule.reason,
            "expires": None if rule.expires is None else rule.expires.isoformat(),
            "hid": hidden.get((name, rule.id), 0),
        }
        for name, of_task in sorted(book.tasks.items())
        if task in (None, name)
        for rule in _every(of_task)
    ]
    show(
        {"version": book.version, "rules": lines},
        format,
        lambda: print_table(_COLUMNS, ([line[name] for name in _COLUMNS] for line in lines)),
    )


@app.command("suggest", short_help="Rules for what legacy does not do twice alike.")
@on_gateway
def suggest(
    gateway: GatewayClient,
    owner: Annotated[str, typer.Option(help="Who answers for the rules that are accepted.")],
    task: _Task = None,
    rules: _Rules = _FOLDER,
    expires_days: Annotated[
        int, typer.Option(help="For how many days they hold; then what they hid is a difference again. 0 for no end.", min=0, max=3_650)
    ] = 90,
    accept: Annotated[bool, typer.Option("--accept", help="Write them into the rule files; without it they are only shown.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Suggest rules for what legacy itself does not do twice alike, by its control runs (`control_percent` of the flag).

    It takes 100 of them. What differs only in its order is suggested as `unordered`. For states, errors, and effects that are lost or
    repeated nothing is suggested: such a rule would hide the very faults a shadow is there to find.

    Example: dualrun rules suggest reports.daily_report --owner reports --accept
    """
    last_day = datetime.now(UTC).date() + timedelta(days=expires_days) if expires_days else None
    found = [
        (rules / f"{part['task']}.yaml", section, [_rule(group, owner, last_day) for group in suggested])
        for part in _tasks(gateway, task)
        for section, suggested in _suggested(part)
    ]
    if accept:
        for file, section, suggested in found:
            add_rules(file, section, suggested)

    def told() -> None:
        for file, section, suggested in found:
            typer.echo(f"# {file}{' (written)' if accept else ''}\n" + rules_text(section, suggested))
        if not found:
            typer.echo(
                f"Nothing to suggest: legacy does everything twice alike, or there were fewer than {CONTROL_RUNS_MIN} control runs"
                " (control_percent of the flag). Rules for states, errors, and effects that are lost or repeated are never suggested."
            )

    view: list[JsonValue] = [
        {"file": str(file), "written": accept, section: [{name: str(text) for name, text in rule.items()} for rule in suggested]}
        for file, section, suggested in found
    ]
    show({"suggested": view}, format, told)


def _tasks(gateway: GatewayClient, task: str | None) -> list[dict[str, Any]]:
    where = "/v1/reports/shadow" + (f"/{quote(task, safe='')}" if task else "")
    tasks: list[dict[str, Any]] = gateway.read(f"{where}?format=json")["tasks"]
    return tasks


def _suggested(part: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The groups a rule is suggested for, by its section."""
    by_section: dict[str, list[dict[str, Any]]] = {}
    for group in part["groups"]:
        section = (group["noise"] or {}).get("suggest")
        if section is not None:
            by_section.setdefault(section, []).append(group)
    return sorted(by_section.items())


def _hidden(tasks: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    hidden: dict[tuple[str, str], int] = {}
    for part in tasks:
        for group in part["groups"]:
            if group["ignored_by"]:
                key = part["task"], group["ignored_by"]
                hidden[key] = hidden.get(key, 0) + group["count"]
    return hidden


def _every(rules: TaskRules) -> Iterator[Rule]:
    for kind in (rules.ignore, rules.tolerance, rules.unordered, rules.ordered, rules.states, rules.errors):
        yield from kind


def _rule(group: dict[str, Any], owner: str, last_day: date | None) -> dict[str, object]:
    reason = f"{group['noise']['says'].rpartition(': ')[0]}; seen in {group['count']:,} submissions when the rule was made"
    rule: dict[str, object] = {"id": f"noise-{group['fingerprint']}", "path": group["path"], "owner": owner, "reason": reason}
    return rule if last_day is None else {**rule, "expires": last_day}
