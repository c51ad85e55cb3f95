"""Dead letters: why they died, what they hold, and what to do with them, one by one or many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from gateway.console.page import author_of, chosen_in, form_of, page_path, redirect, render, services_of
from gateway.console.seal import sealed, unsealed
from gateway.core.dead_letter import DeadLetter
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.usecases.read_queues import QueueReading

__all__ = ["discard", "discard_chosen", "of_service", "one", "replay", "replay_chosen"]

_DONE = {"replayed": "sent back to their queues", "discarded": "deleted"}


async def of_service(request: Request) -> Response:
    """Those of a service, both of its queues; without a service, of the first that has any."""
    return await _list(request)


async def one(request: Request) -> Response:
    """One, whole. Raises `NotFound`."""
    letter = await services_of(request).dead_letters.one(request.path_params["queue"], request.path_params["id"])
    return render(request, "dead_letter.html.j2", letter=letter)


async def replay(request: Request) -> Response:
    """Send it back to its queue."""
    queue, id_ = request.path_params["queue"], request.path_params["id"]
    await services_of(request).dead_letters.replay(queue, id_, author=author_of(request))
    return _back(request, _service_of(queue), replayed=1)


async def discard(request: Request) -> Response:
    """Delete it; without a reason nothing happens but the question for one."""
    queue, id_ = request.path_params["queue"], request.path_params["id"]
    reason = (await form_of(request)).get("reason", "")
    handle = services_of(request).dead_letters
    if not reason:
        return render(request, "dead_letter.html.j2", status=422, letter=await handle.one(queue, id_), missing_reason=True)
    await handle.discard(queue, id_, author=author_of(request), reason=reason)
    return _back(request, _service_of(queue), discarded=1)


async def replay_chosen(request: Request) -> Response:
    """Send those that were ticked back to their queues."""
    chosen, form = await chosen_in(request, "letter")
    if not chosen:
        return await _list(request, service=form.get("service"), none_ticked=True, status=422)
    handle = services_of(request).dead_letters
    replayed = [await handle.replay_many(queue, ids, author=author_of(request)) for queue, ids in _by_queue(chosen).items()]
    return _back(request, form.get("service", ""), replayed=sum(map(len, replayed)))


async def discard_chosen(request: Request) -> Response:
    """Delete those that were ticked; without a reason nothing happens but the question for one."""
    chosen, form = await chosen_in(request, "letter")
    reason = form.get("reason", "")
    if not chosen:
        return await _list(request, service=form.get("service"), none_ticked=True, typed=reason, status=422)
    if not reason:
        return await _list(request, service=form.get("service"), missing_reason=True, ticked=chosen, status=422)
    handle = services_of(request).dead_letters
    discarded = [
        await handle.discard_many(queue, ids, author=author_of(request), reason=reason) for queue, ids in _by_queue(chosen).items()
    ]
    return _back(request, form.get("service", ""), discarded=sum(map(len, discarded)))


async def _list(
    request: Request,
    *,
    service: str | None = None,
    missing_reason: bool = False,
    none_ticked: bool = False,
    ticked: Sequence[str] = (),
    typed: str = "",
    status: int = 200,
) -> Response:
    services = services_of(request)
    known, depths = services.queues.services(), await _depths(request)
    waiting = {name: sum(reading.ready or 0 for reading in depths if reading.service == name) for name in known}
    asked = service if service is not None else request.query_params.get("service", "")[:200]
    shown = asked or next((name for name in known if waiting[name]), known[0] if known else "")
    letters: Sequence[DeadLetter] = ()
    unknown = False
    if shown:
        try:
            letters = await services.dead_letters.of_service(shown)
        except NotFound:
            unknown = True
    done = next(((int(n), words) for name, words in _DONE.items() if (n := unsealed(request, name))), None)
    return render(
        request,
        "dead_letters.html.j2",
        status=status,
        service=shown,
        services=waiting,
        letters=letters,
        unknown=unknown,
        missing_reason=missing_reason,
        none_ticked=none_ticked,
        typed=typed,
        ticked=set(ticked),
        key_of=_key_of,
        done=done,
    )


async def _depths(request: Request) -> Sequence[QueueReading]:
    try:
        return await services_of(request).queues.dead_letters()
    except StoreUnavailable:
        return ()


def _key_of(letter: DeadLetter) -> str:
    """A letter as a form sends it: its queue and its id."""
    return f"{quote(letter.queue, safe='')}/{quote(letter.id, safe='')}"


def _by_queue(chosen: Sequence[str]) -> Mapping[str, list[str]]:
    ids: dict[str, list[str]] = defaultdict(list)
    for key in chosen:
        queue, _, id_ = key.partition("/")
        ids[unquote(queue)].append(unquote(id_))
    return ids


def _service_of(queue: str) -> str:
    return queue.rpartition(".")[2]


def _back(request: Request, service: str, **done: int) -> Response:
    ((name, count),) = done.items()
    path = page_path(request, "/dead-letters", service=service, **sealed(request, name, str(count)))
    return redirect(request, path.removeprefix(request.scope.get("root_path", "")))
