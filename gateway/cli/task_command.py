"""`dualrun submit` and `dualrun task`: one submission, from the outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer
from typer.core import TyperGroup

from gateway.cli.client import GatewayClient
from gateway.cli.option import FormatOption, IntervalOption, WatchOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.session import on_gateway
from gateway.cli.watching import watched

__all__ = ["app", "submit"]


class _ShownByDefault(TyperGroup):
    """`dualrun task ID` is `dualrun task show ID`."""

    # Typer brings a click of its own, whose context it does not export.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        is_id = bool(args) and args[0] not in self.commands and args[0] not in {"--help", "-h"}
        return super().parse_args(ctx, ["show", *args] if is_id else args)


app = typer.Typer(cls=_ShownByDefault, no_args_is_help=True, help="One submission: `dualrun task ID` shows it, `cancel` ends it.")
_Id = Annotated[str, typer.Argument(help="The id that `submit` gave.")]


@on_gateway
def submit(
    gateway: GatewayClient,
    task: Annotated[str, typer.Argument(help="Celery name of the task.")],
    args: Annotated[str, typer.Option("--args", help="Positional arguments, a JSON array.")] = "[]",
    kwargs: Annotated[str, typer.Option("--kwargs", help="Keyword arguments, a JSON object.")] = "{}",
    countdown_s: Annotated[float | None, typer.Option("--countdown", help="Run it that many seconds from now.")] = None,
    queue: Annotated[str | None, typer.Option(help="Legacy queue; Celery's routes where left out.")] = None,
    cohort_key: Annotated[str | None, typer.Option("--cohort-key", help="What percentages are dealt by.")] = None,
    attributes: Annotated[
        list[str] | None, typer.Option("--attribute", help="NAME=VALUE for targeting rules, such as tenant=acme; may be repeated.")
    ] = None,
    idempotency_key: Annotated[str | None, typer.Option("--idempotency-key", help="Repeating it runs the task once.")] = None,
    wait_s: Annotated[float, typer.Option("--wait", help="Wait up to that many seconds for the result.")] = 0.0,
    format: FormatOption = Format.TABLE,
) -> None:
    """Submit one task.

    Example: dualrun submit learning.add --args '[2, 3]' --wait 10
    """
    wanted = {"countdown": countdown_s, "queue": queue, "cohort_key": cohort_key, "attributes": _attributes(attributes)}
    body: dict[str, Any] = {"task": task, "args": _json("--args", args), "kwargs": _json("--kwargs", kwargs)}
    body |= {name: value for name, value in wanted.items() if value is not None}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    accepted = gateway.call("POST", "/v1/tasks", body=body, headers=headers).json()
    result = gateway.read(f"/v1/tasks/{accepted['id']}/result?wait_s={wait_s}") if wait_s else None
    whole = accepted if result is None else {**accepted, "result": result}
    show(whole, format, lambda: _print_accepted(accepted, result))


def _print_accepted(accepted: Mapping[str, Any], result: Mapping[str, Any] | None) -> None:
    decision = accepted["decision"]
    rows = [
        ("id", accepted["id"]),
        ("authority", decision["authority"]),
        ("shadow", decision["shadow"] or "none"),
        ("why", f"{decision['reason']}, rule {decision['rule']}" if decision["rule"] else decision["reason"]),
    ]
    if result is not None:
        rows.append(("state", result["state"]))
        rows.append(("value", json.dumps((result.get("outcome") or {}).get("value"))))
    print_table(("", ""), rows)


@app.command("cancel", short_help="Have it not run any more, on either side.")
@on_gateway
def cancel(gateway: GatewayClient, submission_id: _Id, format: FormatOption = Format.TABLE) -> None:
    """Have one submission not run any more, on either side. Its outcome, `revoked` or another, says whether that was in time.

    Event handlers at work are cancelled too. Celery's workers are told only while they are up, and finish what they have begun.

    Example: dualrun task cancel 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    cancelled = gateway.call("DELETE", f"/v1/tasks/{quote(submission_id, safe='')}").json()
    rows = [(asked["side"], asked["role"] or "none", "yes" if asked["asked"] else "no", asked["detail"]) for asked in cancelled["asked"]]
    show(cancelled, format, lambda: print_table(("side", "role", "asked", "what that means"), rows))


@app.command("replay", short_help="Submit its arguments once more, as a new submission.")
@on_gateway
def replay(gateway: GatewayClient, submission_id: _Id, format: FormatOption = Format.TABLE) -> None:
    """Submit the arguments of an earlier submission once more: a new one, decided by the flags of now.

    Refused where secrets in its arguments were not kept.

    Example: dualrun task replay 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    accepted = gateway.call("POST", f"/v1/tasks/{quote(submission_id, safe='')}/replay").json()
    show(accepted, format, lambda: print_table(("id", "task"), [(accepted["id"], accepted["task"])]))


@app.command("show", short_help="Decision, what both roles did, how they compare.")
@on_gateway
def show_one(
    gateway: GatewayClient,
    submission_id: _Id,
    watch: WatchOption = False,
    interval_s: IntervalOption = 0.5,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show one submission: decision, what both roles did, how they compare. `--watch` stays until nothing more is to come.

    Example: dualrun task 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11

    Example: dualrun task 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11 --watch
    """

    def read() -> Mapping[str, Any]:
        view: dict[str, Any] = gateway.read(f"/v1/tasks/{quote(submission_id, safe='')}")
        return view

    def print_view(view: Mapping[str, Any]) -> None:
        show(dict(view), format, lambda: _print_submission(view))

    if watch:
        watched(read, print_view, interval_s=interval_s, is_over=_is_settled)
    else:
        print_view(read())


def _is_settled(view: Mapping[str, Any]) -> bool:
    """The authority has ended, and where there is a shadow the two were compared."""
    return view["authority"] is not None and (view["decision"]["shadow"] is None or view["comparison"] is not None)


def _print_submission(view: Mapping[str, Any]) -> None:
    rows: list[tuple[object, ...]] = []
    for role in ("authority", "shadow"):
        outcome = view[role]
        if outcome is None:
            rows.append((role, view["decision"][role] or "none"))
            continue
        said = outcome["failure"]["kind"] if outcome.get("failure") else json.dumps(outcome["value"])[:60]
        rows.append((role, outcome["side"], outcome["state"], said, len(outcome["effects"]), f"{outcome['elapsed_ms']:.1f}"))
    print_table(("role", "side", "state", "value or error", "effects", "ms"), rows)
    comparison = view["comparison"]
    typer.echo(f"verdict: {comparison['verdict'] if comparison else 'not compared'}")
    for difference in comparison["differences"] if comparison else ():
        typer.echo(f"  {difference['kind']:<16} {difference['path']}")
        typer.echo(f"    authority: {json.dumps(difference['authority'])}")
        typer.echo(f"    shadow:    {json.dumps(difference['shadow'])}")


def _attributes(given: list[str] | None) -> dict[str, str] | None:
    if not given:
        return None
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise typer.BadParameter("is NAME=VALUE", param_hint="--attribute")
    return {name: value for name, _, value in pairs}


def _json(option: str, text: str) -> Any:  # noqa: ANN401 - whatever JSON the caller wrote
    try:
        return json.loads(text)
    except ValueError as exc:
        raise typer.BadParameter(f"is not JSON: {exc}", param_hint=option) from exc
