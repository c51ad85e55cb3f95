"""`/v1/tokens`: create access tokens, list them, revoke one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response

from gateway.api.body import decode, read_body
from gateway.api.caller import author_of
from gateway.api.openapi.access import CREATE_TOKEN, READ_TOKENS, REVOKE_TOKEN
from gateway.api.services import services_of
from gateway.core.access import ALL_TASKS, AccessToken, Permission

__all__ = ["TokenBody", "TokenCreatedView", "TokenView", "TokensView", "router"]

router = APIRouter(tags=["access"])
_encode = msgspec.json.Encoder().encode
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,99}$", description="Whom or what it is for.")]
_Glob = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:*?\[\]\-]{1,200}$", description="A task name, or a glob of them.")]
_Lifetime = Annotated[float, msgspec.Meta(gt=0, le=315_360_000, description="Seconds until it expires; left out: never.")]
_Rate = Annotated[float, msgspec.Meta(gt=0, le=1_000_000, description="Requests a second; left out: as the gateway is set.")]
_Id = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="The token's id: what stands between its underscores.")]


class TokenBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the token shall be good for."""

    name: _Name
    permissions: Annotated[tuple[Permission, ...], msgspec.Meta(min_length=1, max_length=4)]
    tasks: Annotated[tuple[_Glob, ...], msgspec.Meta(min_length=1, max_length=100)] = ALL_TASKS
    lifetime_s: _Lifetime | None = None
    rate_per_s: _Rate | None = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token; what it is sent as is kept nowhere."""

    id: str
    name: str
    permissions: tuple[Permission, ...]
    tasks: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    rate_per_s: float | None


class TokenCreatedView(TokenView, frozen=True, kw_only=True):
    """A token that was just created."""

    token: str
    """What its holder sends as `Authorization: Bearer TOKEN`. It is shown this once."""


class TokensView(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, oldest first."""

    tokens: tuple[TokenView, ...]


_decoder = msgspec.json.Decoder(TokenBody)


@router.get("/tokens", response_class=Response, **READ_TOKENS)
async def every(request: Request) -> Response:
    """Who has access, to what, since when and until when."""
    tokens = await services_of(request).tokens.every()
    return _answer(TokensView(tokens=tuple(map(_view, tokens))))


@router.post("/tokens", status_code=201, response_class=Response, **CREATE_TOKEN)
async def create(request: Request) -> Response:
    """A new token. The answer shows it this once: only its digest is kept."""
    services = services_of(request)
    body = decode(await read_body(request, services.settings.max_body_bytes), _decoder, services.settings.max_json_depth)
    token, shown = await services.tokens.create(
        body.name,
        body.permissions,
        tasks=body.tasks,
        lifetime_s=body.lifetime_s,
        rate_per_s=body.rate_per_s,
        created_by=author_of(request, ""),
    )
    request.scope["audited_target"] = token.id
    view = TokenCreatedView(**msgspec.structs.asdict(_view(token)), token=shown)
    return Response(_encode(view), status_code=201, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.delete("/tokens/{id}", response_class=Response, **REVOKE_TOKEN)
async def revoke(request: Request, id: _Id) -> Response:  # noqa: A002 - the name in the path
    """Refused from now on, and the console sessions begun with it; on every gateway within a second."""
    return _answer(_view(await services_of(request).tokens.revoke(id)))


def _view(token: AccessToken) -> TokenView:
    return msgspec.convert(token, TokenView, from_attributes=True)


def _answer(view: TokenView | TokensView) -> Response:
    return Response(_encode(view), media_type="application/json")
