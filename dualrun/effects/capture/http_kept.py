"""The body of an answer of http.client's, kept for the shadow."""

from __future__ import annotations

import io
from typing import Any

from dualrun.effects.answers import ANSWER_MAX_BYTES
from dualrun.effects.capture.http_call import OutgoingCall

__all__ = ["keep_short"]


def keep_short(response: Any, call: OutgoingCall) -> None:  # noqa: ANN401 - of http.client, without types of its own for `fp`
    """Read a short body now, and let the task read it from memory; of a longer one the task reads from the socket, past this."""
    length = response.length
    if length is None or length > ANSWER_MAX_BYTES or response.chunked or response.fp is None:
        call.answered(response.status, response.headers.items(), lambda: b"" if length == 0 else None)
        return
    body = response.read()
    response.fp, response.length = io.BufferedReader(io.BytesIO(body)), len(body)
    call.answered(response.status, response.headers.items(), lambda: body)
