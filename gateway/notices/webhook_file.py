"""The webhooks file: `{version: 1, webhooks: [{name, url, secret_env, events}]}`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from dualrun.errors import ConfigurationError
from gateway.core.document import DocumentFlaw, DocumentNode, read_document
from gateway.core.notice import NoticeType
from gateway.notices.webhook_target import check_url

__all__ = ["Webhook", "load_webhooks", "parse_webhooks"]

_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_\-]{1,64}")
_SECRET_PREFIX = "whsec_"  # noqa: S105 - what the secrets of Standard Webhooks begin with
_SECRET_MIN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell, of what, and the key it is signed with."""

    name: str
    url: httpx.URL
    secret: bytes = field(repr=False)
    events: frozenset[NoticeType] = frozenset(NoticeType)


def load_webhooks(file: Path | None, environment: Mapping[str, str]) -> tuple[Webhook, ...]:
    """The webhooks of a file, none where there is no file. Raises `ConfigurationError` naming the line."""
    if file is None or not file.exists():
        return ()
    try:
        return parse_webhooks(file.read_text(encoding="utf-8"), environment)
    except DocumentFlaw as flaw:
        raise ConfigurationError(f"{file}:{flaw.line}:{flaw.column}: {flaw.reason}") from flaw
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{file}: {exc}") from exc


def parse_webhooks(text: str, environment: Mapping[str, str]) -> tuple[Webhook, ...]:
    """Raises `DocumentFlaw`."""
    document = read_document(text)
    top = document.mapping(("version", "webhooks"))
    for name in ("version", "webhooks"):
        if name not in top:
            raise document.flaw(f"{name!r} is missing")
    if top["version"].integer() != _VERSION:
        raise top["version"].flaw(f"this release reads version {_VERSION}")
    found: dict[str, Webhook] = {}
    for node in top["webhooks"].sequence():
        webhook = _webhook(node, environment)
        if webhook.name in found:
            raise node.flaw(f"another webhook is called {webhook.name!r}")
        found[webhook.name] = webhook
    return tuple(found.values())


def _webhook(node: DocumentNode, environment: Mapping[str, str]) -> Webhook:
    members = node.mapping(("name", "url", "secret_env", "events"))
    for name in ("name", "url", "secret_env"):
        if name not in members:
            raise node.flaw(f"{name!r} is missing")
    if _NAME.fullmatch(members["name"].text()) is None:
        raise members["name"].flaw("is 1 to 64 letters, digits, _ -")
    try:
        url = check_url(members["url"].text())
    except ValueError as exc:
        raise members["url"].flaw(str(exc)) from exc
    events = frozenset(item.choice(NoticeType) for item in members["events"].sequence()) if "events" in members else frozenset(NoticeType)
    return Webhook(name=members["name"].text(), url=url, secret=_secret(members["secret_env"], environment), events=events)


def _secret(node: DocumentNode, environment: Mapping[str, str]) -> bytes:
    variable = node.text()
    text = environment.get(variable, "")
    if not text:
        raise node.flaw(f"the environment variable {variable} is not set: it holds the secret")
    try:
        secret = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True) if text.startswith(_SECRET_PREFIX) else text.encode()
    except binascii.Error as exc:
        raise node.flaw(f"{variable} begins with {_SECRET_PREFIX}, but base64 does not follow") from exc
    if len(secret) < _SECRET_MIN:
        raise node.flaw(f"{variable} is shorter than {_SECRET_MIN} bytes")
    return secret
