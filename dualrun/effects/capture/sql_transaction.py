"""The writes of one connection that are not committed yet: they become effects when they are, and never when they are rolled back."""

from __future__ import annotations

from collections.abc import Sequence

from dualrun.contracts import EffectKind
from dualrun.effects.capture.sql_statement import Statement
from dualrun.effects.capture.sql_write import Parameters, writes_of
from dualrun.effects.execution import Execution, Note

__all__ = ["SqlTransaction"]


class SqlTransaction:
    """Keeps notes back until they are committed, and knows which savepoint each came after."""

    __slots__ = ("_marks", "_notes")

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._marks: list[tuple[str, int]] = []

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
        for key in keys:
            number = sum(owner == statement.table for owner, _ in run.generated) + 1
            run.generated.setdefault((statement.table, str(key)), f"{statement.table}#{number}")
        for write in writes_of(statement, parameters, rows, run.generated):
            note = run.note(EffectKind.SQL, write.key, write.payload, performed=not run.shadow)
            note.pending = True
            self._notes.append(note)

    def committed(self) -> None:
        """What waited is an effect now."""
        for note in self._notes:
            note.pending = False
        self.rolled_back()

    def rolled_back(self) -> None:
        """What waited never happened."""
        self._notes.clear()
        self._marks.clear()

    def marked(self, name: str) -> None:
        """A savepoint was set."""
        self._marks.append((name, len(self._notes)))

    def released(self, name: str) -> None:
        """A savepoint, and those within it, were given up; their writes wait on."""
        if (at := self._find(name)) is not None:
            del self._marks[at:]

    def rolled_back_to(self, name: str) -> None:
        """The writes after a savepoint never happened. The savepoint stays."""
        if (at := self._find(name)) is not None:
            del self._notes[self._marks[at][1] :]
            del self._marks[at + 1 :]

    def _find(self, name: str) -> int | None:
        return next((i for i in reversed(range(len(self._marks))) if self._marks[i][0] == name), None)
