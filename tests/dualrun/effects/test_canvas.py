"""Children of a Celery task: every step of a canvas is an effect of whoever starts it, and a shadow's are not sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from celery import Celery, chain, chord, group

from dualrun.contracts import Role, Side
from dualrun.effects import execution


@pytest.fixture
def app() -> Iterator[Celery]:
    with closing(Celery("canvas", broker="memory://", backend="cache+memory://", set_as_current=False)) as app:

        @app.task(name="pack", shared=False)  # type: ignore[untyped-decorator]  # Celery's
        def pack(order: int) -> int:
            return order

        @app.task(name="ship", shared=False)  # type: ignore[untyped-decorator]  # Celery's
        def ship(parcel: int, express: bool = False) -> int:
            return parcel + express

        yield app


def in_a_chain(app: Celery) -> None:
    chain(app.tasks["pack"].s(7), app.tasks["ship"].s(express=True), app.tasks["pack"].si(8)).delay()


def in_a_group(app: Celery) -> None:
    group(app.tasks["pack"].s(n) for n in (7, 8)).apply_async()


def in_a_chord(app: Celery) -> None:
    chord([app.tasks["pack"].s(n) for n in (7, 8)])(app.tasks["ship"].s(express=True))


def in_a_canvas_of_canvases(app: Celery) -> None:
    pack, ship = app.tasks["pack"], app.tasks["ship"]
    (pack.s(7) | group(ship.s(), ship.s(express=True)) | pack.s()).delay()


def with_callbacks(app: Celery) -> None:
    app.tasks["pack"].apply_async((7,), link=app.tasks["ship"].s(), link_error=app.tasks["pack"].si(0))


CANVASES: list[tuple[Callable[[Celery], None], list[tuple[str, dict[str, object]]]]] = [
    (in_a_chain, [("pack", {"order": 7}), ("ship", {"express": True}), ("pack", {"order": 8})]),
    (in_a_group, [("pack", {"order": 7}), ("pack", {"order": 8})]),
    (in_a_chord, [("pack", {"order": 7}), ("ship", {"express": True}), ("pack", {"order": 8})]),
    (in_a_canvas_of_canvases, [("pack", {"order": 7}), ("ship", {}), ("ship", {"express": True}), ("pack", {})]),
    (with_callbacks, [("pack", {"order": 7}), ("ship", {}), ("pack (on error)", {"order": 0})]),
]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("start", "children"), CANVASES, ids=lambda part: getattr(part, "__name__", ""))
def test_every_step_is_a_child_and_a_shadows_are_not_sent(
    start: Callable[[Celery], None], children: list[tuple[str, dict[str, object]]], role: Role, app: Celery
) -> None:
    with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        queue.clear()
        with execution(role=role, side=Side.LEGACY, submission_id="s", task="t") as run:
            start(app)
        assert [(effect.key, effect.payload) for effect in run.effects] == children
        assert {effect.performed for effect in run.effects} == {role is Role.AUTHORITY}
        assert (queue.qsize() > 0) is (role is Role.AUTHORITY)
        queue.clear()
