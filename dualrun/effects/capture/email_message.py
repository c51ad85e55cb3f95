"""An e-mail in the form both sides share, whichever library sends it."""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import getaddresses

from dualrun.contracts import EffectKind, JsonObject, JsonValue
from dualrun.effects.execution import current_execution
from dualrun.telemetry import client_span

__all__ = ["in_shadow", "key_of", "payload_of", "sending"]


def in_shadow() -> bool:
    """True where no mail server may be spoken to."""
    run = current_execution()
    return run is not None and run.shadow


@contextmanager
def sending(sender: str, recipients: str | Sequence[str], message: str | bytes) -> Iterator[bool]:
    """Note the e-mail and say whether it is to be sent. What is raised inside is noted as its error."""
    run = current_execution()
    if run is None:
        yield True
        return
    addresses = [recipients] if isinstance(recipients, str) else list(recipients)
    key = key_of(addresses)
    note = run.note(EffectKind.EMAIL, key, payload_of(sender, addresses, message), performed=not run.shadow)
    try:
        with client_span("email:send"):
            yield not run.shadow
    except BaseException as exc:
        note.failed(type(exc).__name__)
        raise


def key_of(recipients: Sequence[str]) -> str:
    """`to:` and the addresses of the envelope, sorted."""
    return "to:" + ",".join(sorted(_addresses(recipients)))


def payload_of(sender: str, recipients: Sequence[str], message: str | bytes) -> JsonObject:
    """What the recipient sees, decoded: independent of encodings, boundaries and line endings."""
    raw = message.encode("utf-8", "surrogateescape") if isinstance(message, str) else message
    parsed = email.parser.BytesParser(policy=email.policy.default).parsebytes(raw)
    payload: dict[str, JsonValue] = {
        "from": _header(parsed, "from") or [sender],
        "subject": str(parsed["subject"] or ""),
        "to": _header(parsed, "to") or sorted(_addresses(recipients)),
        "cc": _header(parsed, "cc"),
        "text": _content(parsed, "plain") or "",
    }
    html = _content(parsed, "html")
    if html is not None:
        payload["html"] = html
    payload["attachments"] = [_attachment(part) for part in parsed.iter_attachments()] if parsed.is_multipart() else []
    return payload


def _addresses(values: Sequence[str]) -> list[str]:
    return [address for _, address in getaddresses(list(values)) if address]


def _header(message: EmailMessage, name: str) -> list[str]:
    return _addresses([str(value) for value in message.get_all(name, [])])


def _content(message: EmailMessage, subtype: str) -> str | None:
    part = message.get_body(preferencelist=(subtype,))
    if part is None:
        return None
    try:
        content = part.get_content()
    except (LookupError, KeyError, ValueError):
        # An unknown charset or a broken encoding: the bytes stand for it.
        raw = part.get_payload(decode=True)
        content = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return str(content).replace("\r\n", "\n").rstrip("\n")


def _attachment(part: EmailMessage) -> JsonValue:
    raw = part.get_payload(decode=True)
    content = raw if isinstance(raw, bytes) else b""
    return {"name": part.get_filename() or "", "sha256": hashlib.sha256(content).hexdigest()}
