"""The command line's way to a gateway: plain HTTP, with problems turned into readable errors."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx
import typer

from dualrun.contracts import JsonValue

__all__ = ["GatewayClient", "Refused", "fail"]


class Refused(Exception):
    """The gateway said no, or could not be reached; the text is for a person, the exit code for a script."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class GatewayClient:
    """Calls one gateway."""

    def __init__(self, url: str, timeout_s: float = 70.0) -> None:
        self._url = url
        self._timeout_s = timeout_s

    def call(self, method: str, path: str, *, body: JsonValue = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer to one request.

        Raises `Refused`: exit code 2 for a request that was wrong, 3 for a gateway that is away or cannot do it now.
        """
        content = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        try:
            with httpx.Client(base_url=self._url, timeout=self._timeout_s) as http:
                answer = http.request(method, path, content=content, headers=sent)
        except httpx.TransportError as exc:
            raise Refused(f"no gateway answers at {self._url} ({exc}). Start one with `dualrun run`, or name yours with --url", 3) from exc
        if answer.is_error:
            raise Refused(_readable(answer), 3 if answer.status_code >= 500 else 2)
        return answer


def _readable(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return f"{problem['title']} ({problem['code']}): {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code} from {answer.url}"


def fail(exc: Refused) -> typer.Exit:
    """Say it on stderr and leave with its code."""
    typer.secho(f"dualrun: {exc}", fg="red", err=True)
    return typer.Exit(exc.exit_code)
