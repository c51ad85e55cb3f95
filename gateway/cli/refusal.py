"""A refusal: what the gateway said no to, what it means for a script, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import typer

from gateway.cli.exit_code import ExitCode

__all__ = ["Refused", "fail", "refusal_of"]

_NOT_ALLOWED = frozenset({401, 403})
_LATER = frozenset({408, 429})
_NEXT: Mapping[str, str] = {
    "unknown_task": "`dualrun doctor` shows which workers are alive and what they serve.",
    "invalid_arguments": "`dualrun doctor TASK` shows how the workers declare it.",
    "idempotency_conflict": "Take another key, or send what was sent under this one.",
    "unsafe_shadow": "Read docs/safety.md, then give --safety pure, idempotent or sandboxed.",
    "flag_conflict": "Somebody changed it meanwhile: `dualrun flags history --limit 3`, then repeat the command.",
    "not_proven": "`dualrun flags gate TASK` says what is missing; --force with a --reason goes without.",
    "step_refused": "`dualrun flags gate TASK` names the next step; going back is always allowed.",
    "side_not_served": "Start a worker of that side first; `dualrun doctor` shows who is alive.",
    "flags_by_file": "Edit that file: the gateway follows it.",
    "flags_by_openfeature": "Change it at the provider.",
}
_NEXT_BY_STATUS: Mapping[int, str] = {
    401: "Set DUALRUN_TOKEN or DUALRUN_TOKEN_FILE, or name a profile that has a token (`dualrun profiles`).",
    403: "Your token's permissions or tasks do not reach that far: ask whoever administers the gateway for another token.",
    500: "That is a fault of the gateway: its log has the rest.",
    503: "Nothing is known to have changed: repeat the command; `dualrun doctor` says what is away.",
}


class Refused(Exception):
    """The gateway said no, or could not be reached; the text is for a person, the exit code for a script."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def refusal_of(answer: httpx.Response) -> Refused:
    """What an answer that is an error says, and what to do next."""
    try:
        problem = answer.json()
        code = str(problem["code"])
        lines = [f"{problem['title']} ({code}): {problem['detail']}"]
        # Most details say all of it already, in one sentence.
        unsaid = (error for error in problem.get("errors", ()) if error["detail"] not in problem["detail"])
        lines += [f"  {error['pointer']}: {error['detail']}" for error in unsaid]
    except (ValueError, KeyError, TypeError):
        code, lines = "", [f"HTTP {answer.status_code} from {answer.url}: is that a dualrun gateway?"]
    advice = _NEXT.get(code) or _NEXT_BY_STATUS.get(answer.status_code)
    if answer.status_code in _LATER or (advice is None and "Retry-After" in answer.headers):
        advice = f"Repeat it in {answer.headers.get('Retry-After', 'a few')} s."
    if advice is not None:
        lines.append(f"  Next: {advice}")
    return Refused("\n".join(lines), _exit_code(answer.status_code))


def _exit_code(status: int) -> ExitCode:
    if status in _NOT_ALLOWED:
        return ExitCode.NOT_ALLOWED
    return ExitCode.AWAY if status >= 500 or status in _LATER else ExitCode.WRONG


def fail(exc: Refused) -> typer.Exit:
    """Say it on stderr and leave with its code."""
    typer.secho(f"dualrun: {exc}", fg="red", err=True)
    return typer.Exit(exc.exit_code)
