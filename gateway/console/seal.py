"""What a page hands to its reader and has to get back as it was: a seal tells whether it is."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from starlette.requests import Request

from gateway.console.page import services_of

__all__ = ["is_sealed", "seal_of", "sealed", "unsealed"]

_BELIEVED_S = 120


def seal_of(request: Request, *parts: str) -> str:
    """64 hexadecimal digits that nobody outside the installation's gateways can make for these texts."""
    services = services_of(request)
    text = msgspec.json.encode(parts)
    if services.authenticator is not None:
        return services.authenticator.seal(text)
    return hmac.new(services.settings.redaction_key.get_secret_value().encode(), b"page\0" + text, hashlib.sha256).hexdigest()


def is_sealed(request: Request, given: str, *parts: str) -> bool:
    """Whether `given` is the seal of these texts."""
    return hmac.compare_digest(given.encode(), seal_of(request, *parts).encode())


def sealed(request: Request, name: str, value: str) -> dict[str, str]:
    """A query by which the next page says what was done; a link somebody made up says nothing."""
    at_s = str(int(services_of(request).now().timestamp()))
    return {name: value, "at": at_s, "seal": seal_of(request, name, value, at_s)}


def unsealed(request: Request, name: str) -> str:
    """What `sealed` was given two minutes ago or later; empty where it was not."""
    query = request.query_params
    value, at_s = query.get(name, ""), query.get("at", "")
    if not is_sealed(request, query.get("seal", ""), name, value, at_s):
        return ""
    return value if int(at_s) + _BELIEVED_S > services_of(request).now().timestamp() else ""
