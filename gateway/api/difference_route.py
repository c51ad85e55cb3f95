"""`/v1/differences`: difference groups one by one, and what people say of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from dualrun.contracts import Decision, JsonObject, Outcome
from gateway.api.body import decode, read_body
from gateway.api.caller import author_of
from gateway.api.openapi.evidence import READ_DIFFERENCE, READ_DIFFERENCES, TRIAGE_DIFFERENCE
from gateway.api.services import services_of
from gateway.core.report import DifferenceGroup, SubmissionView
from gateway.core.triage import TriageState
from gateway.report.render_json import group_json

__all__ = ["DifferenceView", "DifferencesView", "Sayable", "TriageBody", "router"]

router = APIRouter(tags=["reports"])
_encode = msgspec.json.Encoder().encode
_Fingerprint = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="The group's fingerprint.")]


class Sayable(StrEnum):
    """What a person may say; that it came again only the comparator can."""

    OPEN = "open"
    KNOWN = "known"
    FIXED = "fixed"


class TriageBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the group stands, and who says so."""

    triage: Sayable
    author: Annotated[str, msgspec.Meta(max_length=200)] = ""
    note: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class SampleView(msgspec.Struct, frozen=True, kw_only=True):
    """One of the group's samples in full."""

    submission_id: str
    decision: Decision
    authority: Outcome | None
    shadow: Outcome | None


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group, as in the report, and its samples with decision, outcomes and traces."""

    group: JsonObject
    submissions: tuple[SampleView, ...] = ()


class DifferencesView(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, the most frequent first."""

    groups: tuple[JsonObject, ...]


_decoder = msgspec.json.Decoder(TriageBody)
_Task = Annotated[str | None, Query(description="One task; every task where left out.")]
_State = Annotated[TriageState | None, Query(description="Only groups in this state.")]


@router.get("/differences", response_class=Response, **READ_DIFFERENCES)
async def every(request: Request, task: _Task = None, triage: _State = None) -> Response:
    """The difference groups no rule hides."""
    groups = await services_of(request).differences.every(task, triage)
    return _answer(DifferencesView(groups=tuple(map(_group, groups))))


@router.get("/differences/{fingerprint}", response_class=Response, **READ_DIFFERENCE)
async def one(request: Request, fingerprint: _Fingerprint) -> Response:
    """One group; of its samples the decision, both outcomes and both traces, as long as they are kept."""
    group, submissions = await services_of(request).differences.one(fingerprint)
    return _answer(DifferenceView(group=_group(group), submissions=tuple(map(_sample, submissions))))


def _group(group: DifferenceGroup) -> JsonObject:
    """As in the report, where its task stands above it."""
    return {"task": group.task, **group_json(group)}


@router.put("/differences/{fingerprint}", response_class=Response, **TRIAGE_DIFFERENCE)
async def say(request: Request, fingerprint: _Fingerprint) -> Response:
    """Say that a group is known, or fixed. One that is seen again after it was called fixed is `reopened`."""
    services = services_of(request)
    body = decode(await read_body(request, services.settings.max_body_bytes), _decoder, services.settings.max_json_depth)
    group = await services.differences.say(
        fingerprint, TriageState(body.triage.value), author=author_of(request, body.author), note=body.note
    )
    return _answer(DifferenceView(group=_group(group)))


def _sample(view: SubmissionView) -> SampleView:
    return SampleView(submission_id=view.submission.id, decision=view.decision, authority=view.authority, shadow=view.shadow)


def _answer(view: DifferencesView | DifferenceView) -> Response:
    return Response(_encode(view), media_type="application/json")
