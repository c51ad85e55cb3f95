"""One difference group: a sample of it from both sides, what people say of it, and a rule for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.services import Services
from gateway.comparison import RuleEffect
from gateway.console.page import author_of, form_of, redirect, render, services_of
from gateway.console.pair import pair_of
from gateway.console.rule_form import RuleKind, rule_form_of, rule_of
from gateway.console.seal import is_sealed, seal_of, sealed, unsealed
from gateway.console.task_page import task_path
from gateway.core.errors import NotFound
from gateway.core.moment import as_utc
from gateway.core.report import DifferenceGroup
from gateway.core.triage import TriageState
from gateway.report.samples import NOTHING, sides_of

__all__ = ["difference", "rule", "triage"]

_SAYABLE = (TriageState.OPEN, TriageState.KNOWN, TriageState.FIXED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RuleForm:
    """The form of a rule, and what came of it so far."""

    filled: Mapping[str, str]
    errors: Mapping[str, str]
    effect: RuleEffect | None = None
    text: str | None = None
    open: bool = False
    seal: str = ""
    """Of the fields whose effect is shown: only they can be saved."""
    changed: bool = False
    """It was to be saved, and is not what was shown."""


async def difference(request: Request) -> Response:
    """`sample` counts from 1. Raises `NotFound`, `StoreUnavailable`."""
    services = services_of(request)
    group = await _group(request)
    saved = unsealed(request, "saved")
    return await _page(request, group, _RuleForm(filled=rule_form_of(group, _today(services)), errors={}), saved=saved)


async def triage(request: Request) -> Response:
    """Say where a difference group stands, and go back to where it was said. Raises `NotFound`, `StoreUnavailable`."""
    form = await form_of(request)
    state = next((state for state in _SAYABLE if state == form.get("triage")), TriageState.OPEN)
    fingerprint = request.path_params["fingerprint"]
    said = await services_of(request).differences.say(fingerprint, state, author=author_of(request), note=form.get("note", ""))
    return redirect(request, f"/differences/{fingerprint}" if form.get("from") == "difference" else task_path(said.task))


async def rule(request: Request) -> Response:
    """Show what a rule would hide; or save it, if that is what was asked for. Raises `NotFound`, `StoreUnavailable`."""
    services, group, sent = services_of(request), await _group(request), await form_of(request)
    # A browser's field that is empty is not among what was sent.
    form = {name: sent.get(name, "") for name in (*rule_form_of(group, _today(services)), "do")}
    made, errors = rule_of(form, _today(services))
    if made is None:
        return await _page(request, group, _RuleForm(filled=form, errors=errors, open=True), status=422)
    is_shown = is_sealed(request, sent.get("shown", ""), *_said(group, form))
    if form["do"] == "save" and is_shown:
        place = await services.make_rule.save(group.task, made)
        return redirect(request, f"/differences/{group.fingerprint}?{urlencode(sealed(request, 'saved', place))}")
    changed = form["do"] == "save"
    previewed = _RuleForm(
        filled=form,
        errors={},
        effect=await services.make_rule.effect(group.task, made),
        text=services.make_rule.text(made),
        open=True,
        seal=seal_of(request, *_said(group, form)),
        changed=changed,
    )
    return await _page(request, group, previewed, status=409 if changed else 200)


def _said(group: DifferenceGroup, form: Mapping[str, str]) -> tuple[str, ...]:
    """The fields that make the rule, and what it is for."""
    return ("rule", group.fingerprint, *(f"{name}={value}" for name, value in sorted(form.items()) if name != "do"))


async def _group(request: Request) -> DifferenceGroup:
    services, fingerprint = services_of(request), request.path_params["fingerprint"]
    group = await services.ledger.difference(fingerprint, now=services.now())
    if group is None:
        raise NotFound("there is no such difference: a rule may hide it since, or its task was renamed")
    return group


async def _page(request: Request, group: DifferenceGroup, form: _RuleForm, *, status: int = 200, saved: str = "") -> Response:
    services = services_of(request)
    number = _sample_number(request.query_params.get("sample", ""), len(group.samples))
    sample = group.samples[number - 1] if group.samples else None
    view = None if sample is None else await services.ledger.submission(sample.submission_id)
    return render(
        request,
        "difference.html.j2",
        status=status,
        group=group,
        number=number,
        sample=sample,
        view=view,
        pair=None if view is None else pair_of(view),
        form=form,
        kinds=list(RuleKind),
        place=services.make_rule.place(group.task),
        saved=saved,
        sayable=_SAYABLE,
        sides_of=sides_of,
        nothing=NOTHING,
    )


def _today(services: Services) -> date:
    return as_utc(services.now()).date()


def _sample_number(text: str, count: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    return min(max(number, 1), max(count, 1))
