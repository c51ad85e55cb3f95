"""A login that is on its way to an identity provider and back."""

from __future__ import annotations

import msgspec

__all__ = ["LoginBegun"]


class LoginBegun(msgspec.Struct, frozen=True):
    """What has to come back unchanged; kept in a signed cookie until then."""

    state: str
    nonce: str
    code_verifier: str
    wanted: str
