"""`/v1/flags/history`: every version kept, and what each changed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from gateway.api.flag_view import HistoryView, VersionEntry, VersionView, flags_view_of
from gateway.api.openapi.flags import READ_FLAG_HISTORY, READ_FLAG_VERSION
from gateway.api.services import services_of
from gateway.usecases.read_flag_history import VersionRead

__all__ = ["router"]

router = APIRouter(tags=["flags"])
_encode = msgspec.json.Encoder().encode
_VERSION_MAX = 10**15
_Cursor = Annotated[int | None, Query(ge=1, le=_VERSION_MAX, description="`next_cursor` of the page before; left out: from the newest.")]
_Limit = Annotated[int, Query(ge=1, le=200, description="Versions a page.")]
_Version = Annotated[int, Path(ge=1, le=_VERSION_MAX, description="Number of the version.")]
_Against = Annotated[int | None, Query(ge=1, le=_VERSION_MAX, description="Tell `changes` from this version; left out: the one before.")]


@router.get("/flags/history", response_class=Response, **READ_FLAG_HISTORY)
async def read_history(request: Request, cursor: _Cursor = None, limit: _Limit = 50) -> Response:
    """Who changed which flags, when, why and through what; newest first. The store keeps the last 500 versions."""
    page = await services_of(request).flag_history.page(before=cursor, limit=limit)
    view = HistoryView(versions=tuple(map(_entry, page.versions)), next_cursor=page.next_before)
    return Response(_encode(view), media_type="application/json")


@router.get("/flags/history/{version}", response_class=Response, **READ_FLAG_VERSION)
async def read_version(request: Request, version: _Version, against: _Against = None) -> Response:
    """All flags of one version, and what differs from another."""
    read = await services_of(request).flag_history.version(version, against=against)
    view = VersionView(**msgspec.structs.asdict(_entry(read)), flags=flags_view_of(read.snapshot))
    return Response(_encode(view), media_type="application/json")


def _entry(read: VersionRead) -> VersionEntry:
    snapshot = read.snapshot
    return VersionEntry(
        version=snapshot.version,
        changed_at=snapshot.changed_at,
        author=snapshot.author,
        reason=snapshot.reason,
        source=snapshot.source,
        evidence=snapshot.evidence,
        compared_with=read.compared_with,
        changes=read.changes,
    )
