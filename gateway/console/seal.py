"""What a page hands to its reader and has to get back as it was: a seal tells whether it is."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from starlette.requests import Request

from gateway.console.page import services_of

__all__ = ["is_sealed", "seal_of"]


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
