"""`dualrun submit` and `dualrun task`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.cli.client import GatewayClient, Refused, fail
from gateway.cli.option import DEFAULT_URL, FormatOption, UrlOption
from gateway.cli.output import Format, print_json, print_table

__all__ = ["submit", "task"]


def submit(
    task: Annotated[str, typer.Argument(help="Celery name of the task.")],
    args: Annotated[str, typer.Option("--args", help="Positional arguments, a JSON array.")] = "[]",
    kwargs: Annotated[str, typer.Option("--kwargs", help="Keyword arguments, a JSON object.")] = "{}",
    countdown_s: Annotated[float | None, typer.Option("--countdown", help="Run it that many seconds from now.")] = None,
    queue: Annotated[str | None, typer.Option(help="Legacy queue; Celery's routes where left out.")] = None,
    cohort_key: Annotated[str | None, typer.Option("--cohort-key", help="What percentages are dealt by.")] = None,
    idempotency_key: Annotated[str | None, typer.Option("--idempotency-key", help="Repeating it runs the task once.")] = None,
    wait_s: Annotated[float, typer.Option("--wait", help="Wait up to that many seconds for the result.")] = 0.0,
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Submit one task.

    Example: dualrun submit learning.add --args '[2, 3]' --wait 10
    """
    wanted = {"countdown": countdown_s, "queue": queue, "cohort_key": cohort_key}
    body: dict[str, Any] = {"task": task, "args": _json("--args", args), "kwargs": _json("--kwargs", kwargs)}
    body |= {name: value for name, value in wanted.items() if value is not None}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    client = GatewayClient(url)
    try:
        accepted = client.call("POST", "/v1/tasks", body=body, headers=headers).json()
        result = client.call("GET", f"/v1/tasks/{accepted['id']}/result?wait_s={wait_s}").json() if wait_s else None
    except Refused as exc:
        raise fail(exc) from exc
    if format is Format.JSON:
        return print_json(accepted if result is None else {**accepted, "result": result})
    decision = accepted["decision"]
    rows = [
        ("id", accepted["id"]),
        ("authority", decision["authority"]),
        ("shadow", decision["shadow"] or "none"),
        ("why", decision["reason"]),
    ]
    if result is not None:
        rows.append(("state", result["state"]))
        rows.append(("value", json.dumps((result.get("outcome") or {}).get("value"))))
    return print_table(("", ""), rows)


def task(
    submission_id: Annotated[str, typer.Argument(help="The id that `submit` gave.")],
    url: UrlOption = DEFAULT_URL,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show one submission: decision, what both roles did, how they compare.

    Example: dualrun task 019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11
    """
    try:
        view = GatewayClient(url).call("GET", f"/v1/tasks/{submission_id}").json()
    except Refused as exc:
        raise fail(exc) from exc
    if format is Format.JSON:
        return print_json(view)
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
    return None


def _json(option: str, text: str) -> Any:  # noqa: ANN401 - whatever JSON the caller wrote
    try:
        return json.loads(text)
    except ValueError as exc:
        raise typer.BadParameter(f"is not JSON: {exc}", param_hint=option) from exc
