"""Answers to requests: what they look like on the wire, and how they get back."""

from __future__ import annotations

import logging

import msgspec

from dualrun.broker import Broker, Message
from dualrun.contracts import Failure, JsonValue, typed_json
from dualrun.errors import BrokerError, DualrunError

__all__ = ["RequestFailed", "encode_reply", "send_reply", "value_of"]

log = logging.getLogger(__name__)


class RequestFailed(DualrunError):
    """The handler of a request failed, or the request was refused. `kind` is the name of its error, as in an outcome."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class _Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    value: JsonValue = None
    failure: Failure | None = None


_decode = msgspec.json.Decoder(_Reply).decode


def encode_reply(value: JsonValue, failure: Failure | None) -> bytes:
    """A reply as it travels. A traceback stays at home."""
    told = None if failure is None else Failure(kind=failure.kind, message=failure.message)
    return msgspec.json.encode(_Reply(value=value, failure=told))


def value_of(reply: Message) -> object:
    """What the handler returned. Raises `RequestFailed`; that too for a reply that is not one of ours."""
    try:
        content = _decode(reply.body)
    except msgspec.MsgspecError as exc:
        raise RequestFailed("UnreadableReply", str(exc)) from exc
    if content.failure is not None:
        raise RequestFailed(content.failure.kind, content.failure.message)
    return typed_json.decode(content.value)


async def send_reply(broker: Broker, request: Message, reply: bytes) -> None:
    """Answer a request. A reply that does not get through is logged and lost: whoever asked has a deadline."""
    if request.reply_to is None:
        return
    try:
        await broker.publish("", request.reply_to, Message(body=reply, correlation_id=request.correlation_id))
    except BrokerError as exc:
        log.warning("reply_not_sent", extra={"message_id": request.message_id, "error": str(exc)})
