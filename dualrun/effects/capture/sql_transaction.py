"""The writes of one connection that are not committed yet: they become effects when they are, and never when they are rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from dualrun.contracts import EffectKind
from dualrun.effects.capture.sql_statement import Statement
from dualrun.effects.capture.sql_write import Parameters, writes_of
from dualrun.effects.execution import Execution, Note

__all__ = ["SqlTransaction"]

_Key: TypeAlias = tuple[Execution, tuple[str, str]]
"""Whose, and its table and value."""
_GONE = "~"


class SqlTransaction:
    """Keeps notes back until they are committed, and knows which savepoint each came after."""

    __slots__ = ("_keys", "_marks", "_notes")

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._keys: list[_Key] = []
        self._marks: list[tuple[str, int, int]] = []

    @property
    def nested(self) -> bool:
        """True where a savepoint is open."""
        return bool(self._marks)

    @property
    def waiting(self) -> bool:
        """True where writes wait for a commit."""
        return bool(self._notes)

    def wrote(self, run: Execution, statement: Statement, parameters: Parameters, rows: int, keys: Sequence[object] = ()) -> None:
        """A statement ran; its writes wait for the commit. `keys` are those the database gave to the rows it inserted."""
        if keys:
            self._name(run, statement.table, keys)
        for write in writes_of(statement, parameters, rows, run.generated):
            note = run.note(EffectKind.SQL, write.key, write.payload, performed=not run.shadow)
            note.pending = True
            self._notes.append(note)

    def committed(self) -> None:
        """What waited is an effect now."""
        for note in self._notes:
            note.pending = False
        self._keys.clear()
        self.rolled_back()

    def rolled_back(self) -> None:
        """What waited never happened."""
        self._unname(0)
        self._notes.clear()
        self._marks.clear()

    def marked(self, name: str) -> None:
        """A savepoint was set."""
        self._marks.append((name, len(self._notes), len(self._keys)))

    def released(self, name: str) -> None:
        """A savepoint, and those within it, were given up; their writes wait on."""
        if (at := self._find(name)) is not None:
            del self._marks[at:]

    def rolled_back_to(self, name: str) -> None:
        """The writes after a savepoint never happened. The savepoint stays."""
        if (at := self._find(name)) is not None:
            _, notes, keys = self._marks[at]
            del self._notes[notes:]
            del self._marks[at + 1 :]
            self._unname(keys)

    def _name(self, run: Execution, table: str, keys: Sequence[object]) -> None:
        number = sum(owner == table and _GONE not in name for (owner, _), name in run.generated.items())
        for key in keys:
            place = table, str(key)
            if _GONE in run.generated.get(place, _GONE):
                number += 1
                run.generated[place] = f"{table}#{number}"
                self._keys.append((run, place))

    def _unname(self, first: int) -> None:
        """Rows that were rolled back have numbers of their own, so that one more attempt on one side does not shift those of the rest."""
        for run, place in self._keys[first:]:
            table = place[0]
            number = sum(owner == table and _GONE in name for (owner, _), name in run.generated.items()) + 1
            run.generated[place] = f"{table}{_GONE}{number}"
        del self._keys[first:]

    def _find(self, name: str) -> int | None:
        return next((i for i in reversed(range(len(self._marks))) if self._marks[i][0] == name), None)
