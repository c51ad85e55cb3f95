"""The command line's way to a gateway: plain HTTP, with problems turned into readable errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from dualrun.contracts import JsonValue
from gateway.cli.exit_code import ExitCode
from gateway.cli.refusal import Refused, refusal_of

__all__ = ["GatewayClient"]


class GatewayClient:
    """Calls one gateway, with a token where there is one."""

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 70.0) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s

    def call(self, method: str, path: str, *, body: JsonValue = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer to one request.

        Raises `Refused`: exit code 2 for a request that was wrong, 3 for a gateway that is away or cannot do it now, 4 for one that
        does not know or does not let us.
        """
        content = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self._token is not None:
            sent["Authorization"] = f"Bearer {self._token}"
        try:
            with httpx.Client(base_url=self.url, timeout=self._timeout_s) as http:
                answer = http.request(method, path, content=content, headers=sent)
        except httpx.TransportError as exc:
            raise Refused(
                f"no gateway answers at {self.url} ({exc}).\n  Next: start one with `dualrun run`, or name yours with --url or --profile.",
                ExitCode.AWAY,
            ) from exc
        if answer.is_error:
            raise refusal_of(answer)
        return answer

    def read(self, path: str) -> Any:  # noqa: ANN401 - the JSON the gateway answers
        """What is there. Raises `Refused`."""
        return self.call("GET", path).json()
