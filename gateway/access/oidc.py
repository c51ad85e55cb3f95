"""Logging in with an OpenID Connect provider: authorization code with PKCE; the extra `oidc` brings the library."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.access.login_begun import LoginBegun
from gateway.core.access import Permission
from gateway.core.errors import Forbidden, StoreUnavailable, Unauthenticated

__all__ = ["OidcProvider", "OidcSettings"]

_TIMEOUT_S = 5.0
_ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA"]
_NAMES = ("email", "preferred_username", "sub")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """How the provider knows us, and what its groups may do."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_url: str
    claim: str
    permissions: Mapping[str, Permission]
    """By value of the claim; `*` is everybody's."""


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class OidcProvider:
    """One provider. Its addresses and keys are asked for at each login: there are few, and keys change."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings

    async def begin(self, wanted: str) -> tuple[str, LoginBegun]:
        """Where to send the browser, and what to keep meanwhile. Raises `StoreUnavailable`."""
        metadata = await self._metadata()
        begun = LoginBegun(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), wanted)
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=begun.state, nonce=begun.nonce, code_verifier=begun.code_verifier
            )
        return str(url), begun

    async def finish(self, begun: LoginBegun, *, state: str, code: str) -> tuple[str, tuple[Permission, ...]]:
        """Who has logged in, and what they may. Raises `Unauthenticated`, `Forbidden`, `StoreUnavailable`."""
        if not secrets.compare_digest(state.encode(), begun.state.encode()) or not code:
            raise Unauthenticated("this is not the answer to a login begun here: begin again")
        metadata = await self._metadata()
        try:
            async with self._client() as client:
                token = await client.fetch_token(metadata.token_endpoint, code=code, code_verifier=begun.code_verifier)
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as plain:
                keys = (await plain.get(metadata.jwks_uri)).raise_for_status().json()
        except (AuthlibBaseError, httpx.HTTPStatusError) as exc:
            raise Unauthenticated(f"the identity provider does not confirm the login: {type(exc).__name__}") from exc
        except (httpx.HTTPError, ValueError) as exc:
            raise StoreUnavailable(f"the identity provider does not answer: {type(exc).__name__}") from exc
        claims = self._checked(str(token.get("id_token", "")), keys, begun.nonce)
        name = next(str(claims[name]) for name in _NAMES if claims.get(name))
        return name, self._permissions_of(name, claims)

    def _checked(self, id_token: str, keys: Any, nonce: str) -> Mapping[str, Any]:  # noqa: ANN401 - JSON of the provider's
        expected = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            nonce={"essential": True, "value": nonce},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            decoded = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS)
            expected.validate(decoded.claims)
        except (JoseError, ValueError) as exc:
            raise Unauthenticated(f"the identity provider's token does not hold: {type(exc).__name__}") from exc
        return decoded.claims

    def _permissions_of(self, name: str, claims: Mapping[str, Any]) -> tuple[Permission, ...]:
        told = claims.get(self._settings.claim, ())
        groups: Sequence[object] = [told] if isinstance(told, str) else told if isinstance(told, list) else ()
        found = {self._settings.permissions[str(group)] for group in (*groups, "*") if str(group) in self._settings.permissions}
        if not found:
            raise Forbidden(f"{name} is in no group that may see the console (claim {self._settings.claim!r})", "permission_missing")
        return tuple(sorted(found))

    async def _metadata(self) -> _Metadata:
        address = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                answer = (await client.get(address)).raise_for_status()
            metadata = msgspec.json.decode(answer.content, type=_Metadata)
        except (httpx.HTTPError, msgspec.MsgspecError) as exc:
            raise StoreUnavailable(f"the identity provider does not say where it is: {type(exc).__name__}") from exc
        if metadata.issuer != self._settings.issuer:
            raise StoreUnavailable("the identity provider calls itself by another name than DUALRUN_OIDC_ISSUER")
        return metadata

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=self._settings.client_id,
            client_secret=self._settings.client_secret,
            scope="openid email profile",
            redirect_uri=self._settings.redirect_url,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )
