"""What connections have in common whose class is written in C: a class derived from it is given out in its place."""

from __future__ import annotations

from typing import Any

from dualrun.effects.capture.sql_session import SqlSession, Step, Steps, perform
from dualrun.effects.capture.sql_statement import Statement
from dualrun.effects.execution import Execution, current_execution
from dualrun.errors import ShadowRefused

__all__ = ["HeldConnection", "derived_class"]


class HeldConnection:
    """Stands before a driver's own connection. In a shadow its transaction is held: its ends are points to go back to."""

    _dualrun_session: SqlSession

    def commit(self) -> None:
        if self._dualrun_shadow() is None:
            try:
                super().commit()  # type: ignore[misc]  # the driver's
            except Exception:
                if not self._dualrun_is_open():
                    self._dualrun_session.settle(Statement(verb="ROLLBACK"))
                raise
            self._dualrun_session.settle(Statement(verb="COMMIT"))
        elif self._dualrun_held():
            self._dualrun_perform(self._dualrun_session.commit())

    def rollback(self) -> None:
        if self._dualrun_shadow() is None:
            super().rollback()  # type: ignore[misc]  # the driver's
            self._dualrun_session.settle(Statement(verb="ROLLBACK"))
        elif self._dualrun_held():
            self._dualrun_perform(self._dualrun_session.rollback())

    def _dualrun_undo(self) -> None:
        """Roll everything of the shadow back. Does nothing the second time."""
        raise NotImplementedError

    def _dualrun_is_open(self) -> bool:
        """True inside a transaction, as the database sees it."""
        raise NotImplementedError

    def _dualrun_own(self, step: Step) -> int:
        """Run a step of the session's own with the driver."""
        raise NotImplementedError

    def _dualrun_perform(self, steps: Steps) -> None:
        perform(steps, self._dualrun_own)

    def _dualrun_held(self) -> bool:
        session: SqlSession | None = vars(self).get("_dualrun_session")
        return session is not None and session.held_by is not None

    def _dualrun_undo_stale(self, run: Execution | None) -> None:
        """What another run left held is undone before this one does anything."""
        held_by = self._dualrun_session.held_by
        if held_by is not None and held_by is not run:
            self._dualrun_undo()

    def _dualrun_shadow(self) -> Execution | None:
        """The shadow that is running, if one is."""
        run = current_execution()
        self._dualrun_undo_stale(run)
        return run if run is not None and run.shadow else None

    def _dualrun_is_class(self, factory: object) -> bool:
        """True for a cursor's class, which can be derived from. Raises `ShadowRefused` in a shadow for any other."""
        if not isinstance(factory, type) and self._dualrun_shadow() is not None:
            raise ShadowRefused("a shadow may not use a cursor factory that is no class: its writes cannot be seen")
        return isinstance(factory, type)


def derived_class(base: type, captured: type, plain: type) -> type:
    """`base` with the capture before the driver's `plain` class in the order of resolution: what it calls by super() is captured."""
    if issubclass(base, captured):
        return base
    if base is plain:
        return captured
    # The class stays first: its own execute() translates placeholders, and then calls the captured one by super().
    members: dict[str, Any] = {"__module__": base.__module__}
    return type(base.__name__, (base, captured), members)
