"""Work as Celery messages (protocol v2), built by Celery's own code."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence

from celery import Celery
from celery.utils.nodenames import anon_nodename
from celery.utils.saferepr import saferepr
from kombu.exceptions import EncodeError, SerializerNotInstalled
from kombu.serialization import dumps

from dualrun.broker import HeaderValue, Message, Outgoing
from dualrun.contracts import JsonValue, Role, ServedTask, Side, Work
from gateway.core.errors import DispatchFailed
from gateway.dispatch.headers import work_headers

__all__ = ["JSON_ALONE", "CeleryMessages", "shadow_task_id"]

_SHADOW_IDS = uuid.UUID("6b1cf1f4-5a3c-4a4e-9d0e-0f7d1c6f2a11")
_REPR_MAX = 1_024
JSON_ALONE = frozenset({"json"})


def shadow_task_id(submission_id: str) -> str:
    """The Celery id of a submission's shadow: not the submission's own, or the two would share one result, and the same at every try."""
    return str(uuid.uuid5(_SHADOW_IDS, submission_id))


class CeleryMessages:
    """Builds messages; touches neither a broker nor a task registry.

    A shadow's message cannot reach into anything of the authority's: its id is its own, its result is not stored, and no callback,
    chain, group, chord or reply queue is ever put in.
    """

    def __init__(self, app: Celery | None = None, *, serializers: Collection[str] = JSON_ALONE) -> None:
        self._serializers = serializers
        """Those that may be written, by Celery's names."""
        self._app = app or Celery("dualrun-gateway", set_as_current=False)
        # Both are found anew by Celery for every message; of one process they never change.
        self._amqp = self._app.amqp
        self._origin = anon_nodename()

    def outgoing(self, work: Work, served: ServedTask) -> Outgoing:
        """The message with its address: the queue the caller names, else where the task's own worker says it is published.

        Raises `DispatchFailed` when the arguments cannot be written with the task's serializer.
        """
        queue = work.submission.options.queue
        exchange, routing_key = ("", queue) if queue is not None else (served.exchange, served.routing_key)
        return Outgoing(exchange, routing_key, self.message(work, served.serializer))

    def message(self, work: Work, serializer: str = "json") -> Message:
        """The message alone. Raises `DispatchFailed` as `outgoing` does."""
        submission, options = work.submission, work.submission.options
        shadow = work.role is Role.SHADOW
        task_id = shadow_task_id(submission.id) if shadow else submission.id
        args, kwargs = tuple(submission.args), dict(submission.kwargs)
        built = self._amqp.create_task_message(
            task_id,
            submission.task,
            args,
            kwargs,
            eta=work.eta,
            expires=options.expires,
            # None lets the worker follow the task's own setting.
            ignore_result=True if shadow else None,
            origin=self._origin,
            # Given ready-made: Celery's `saferepr` costs more than all the rest of the message.
            argsrepr=_short_repr(args),
            kwargsrepr=_short_repr(kwargs),
        )
        content_type, encoding, body = self._encoded(built.body, serializer)
        headers: Mapping[str, HeaderValue] = {**built.headers, **work_headers(work)}
        return Message(
            body=body,
            headers=headers,
            content_type=content_type,
            content_encoding=encoding,
            message_id=task_id,
            correlation_id=task_id,
            priority=options.priority,
        )

    def _encoded(self, body: object, serializer: str) -> tuple[str, str, bytes]:
        if serializer not in self._serializers:
            why = f"its worker takes {serializer}, and only JSON crosses the gateway: DUALRUN_CELERY_SERIALIZERS names what else may"
            raise DispatchFailed(Side.LEGACY, why, maybe_published=False, is_final=True)
        try:
            content_type, encoding, encoded = dumps(body, serializer=serializer)
        except (EncodeError, SerializerNotInstalled) as exc:
            why = f"arguments cannot be written as {serializer}: {exc}"
            raise DispatchFailed(Side.LEGACY, why, maybe_published=False, is_final=True) from exc
        return content_type, encoding, encoded if isinstance(encoded, bytes) else encoded.encode()


def _short_repr(value: Sequence[JsonValue] | Mapping[str, JsonValue]) -> str:
    """As Celery shows arguments in logs. Of flat values `repr` is exact and fast; nested or long ones go Celery's careful way."""
    items = value.values() if isinstance(value, Mapping) else value
    if len(value) <= 16 and all(_is_short(item) for item in items):
        return repr(value)
    return str(saferepr(value, _REPR_MAX))


def _is_short(value: JsonValue) -> bool:
    return len(value) <= 64 if isinstance(value, str) else value is None or isinstance(value, bool | int | float)
