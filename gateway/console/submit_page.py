"""A form that submits one task, made of what its workers announced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dualrun.contracts import JsonObject, ServedTask, Side
from gateway.comparison import redacted_places
from gateway.console.form_fields import EVERYTHING, FormField, arguments_of, fields_of, filled_from
from gateway.console.page import arguments_form_of, redirect, render, segment, services_of
from gateway.core.arguments import bind_arguments
from gateway.core.errors import FieldError, InvalidArguments, InvalidOptions, NotFound
from gateway.core.request import TaskRequest

__all__ = ["form", "submit"]

_OPTIONS = ("cohort_key", "countdown")


async def form(request: Request) -> Response:
    """Empty, or filled with the arguments of the submission `from`. Raises `NotFound`, `StoreUnavailable`."""
    services = services_of(request)
    served = _served(request)
    fields = fields_of(served)
    earlier = request.query_params.get("from", "")[:200]
    filled: Mapping[str, str] = {}
    if earlier:
        asked = (await services.read.view(earlier)).submission
        kwargs = _by_name(served, asked.args, asked.kwargs)
        hidden = {place.split("/")[1] for place in redacted_places(kwargs)}
        filled = filled_from(fields, {name: value for name, value in kwargs.items() if name not in hidden})
    return _page(request, fields, filled, {})


async def submit(request: Request) -> Response:
    """Submit it, and go and see what comes of it; what is wrong is said beside its field. Raises what `SubmitTask.one` raises."""
    services = services_of(request)
    fields = fields_of(_served(request))
    filled = await arguments_form_of(request, services.settings.max_body_bytes)
    kwargs, errors = arguments_of(fields, filled)
    wanted: dict[str, object] = {"task": request.path_params["task"], "kwargs": kwargs}
    _take_options(filled, wanted, errors)
    if errors:
        return _page(request, fields, filled, errors, status=422)
    try:
        task = msgspec.convert(wanted, TaskRequest)
        submitted = await services.submit.one(task)
    except (InvalidArguments, InvalidOptions) as exc:
        return _page(request, fields, filled, {_field_of(error, fields): error for error in exc.errors}, status=422)
    except msgspec.ValidationError as exc:
        return _page(request, fields, filled, {"": FieldError("", str(exc))}, status=422)
    services.metrics.accepted(submitted.accepted.task, submitted.accepted.decision)
    return redirect(request, f"/submissions/{segment(submitted.accepted.id)}")


def _page(
    request: Request, fields: Sequence[FormField], filled: Mapping[str, str], errors: Mapping[str, FieldError], *, status: int = 200
) -> Response:
    services, task = services_of(request), request.path_params["task"]
    flag = services.flags.snapshot.flag_for(task)
    return render(
        request, "submit.html.j2", status=status, task=task, fields=fields, filled=filled, errors=errors, flag=flag, known_names=_OPTIONS
    )


def _served(request: Request) -> Mapping[Side, ServedTask]:
    task = request.path_params["task"]
    served = services_of(request).catalogue.served_by(task)
    if not served:
        raise NotFound(f"no worker serves a task named {task!r}: there is nobody to submit it to")
    return served


def _by_name(served: Mapping[Side, ServedTask], args: Sequence[object], kwargs: JsonObject) -> JsonObject:
    """Arguments by keyword, as far as the names of positional ones are known."""
    parameters = next((task.parameters for task in (served.get(Side.EVENTS), served.get(Side.LEGACY)) if task and task.parameters), None)
    try:
        return bind_arguments(parameters, list(args), kwargs)  # type: ignore[arg-type]  # read from a record: JSON by now
    except InvalidArguments:
        return kwargs


def _take_options(filled: Mapping[str, str], wanted: dict[str, object], errors: dict[str, FieldError]) -> None:
    if key := filled.get("option.cohort_key", "").strip():
        wanted["cohort_key"] = key
    if text := filled.get("option.countdown", "").strip():
        try:
            wanted["countdown"] = float(text)
        except ValueError:
            errors["option.countdown"] = FieldError("/countdown", "should be seconds, such as 30")


def _field_of(error: FieldError, fields: Sequence[FormField]) -> str:
    """The field an error belongs to; the whole form where there is none."""
    parts = error.pointer.split("/")
    name = parts[2].replace("~1", "/").replace("~0", "~") if len(parts) > 2 and parts[1] == "kwargs" else f"option.{parts[-1]}"
    names = {field.name for field in fields} | {f"option.{option}" for option in _OPTIONS}
    return name if name in names else EVERYTHING if names >= {EVERYTHING} else ""
