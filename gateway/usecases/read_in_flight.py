"""Read what became of work in flight when flags changed."""

from __future__ import annotations

from fnmatch import fnmatchcase

from dualrun.contracts import Side
from gateway.core.flags import FlagSnapshot
from gateway.core.ports import Catalogue
from gateway.usecases.in_flight import InFlight, InFlightCounts

__all__ = ["ReadInFlight", "newest_recall"]


class ReadInFlight:
    """Knows who has to say something about a version before its counts are complete."""

    def __init__(self, in_flight: InFlight, catalogue: Catalogue) -> None:
        self._in_flight = in_flight
        self._catalogue = catalogue

    async def of(self, snapshot: FlagSnapshot, version: int, *, wait_s: float) -> InFlightCounts:
        """The counts of what a version recalled, complete or as they are after `wait_s`; by the flags of this snapshot."""
        if not _recalls(snapshot, version):
            return InFlightCounts(complete=True)
        return await self._in_flight.settled(version, self._expected(snapshot, version), wait_s)

    async def moved_by(self, snapshot: FlagSnapshot, *, wait_s: float) -> InFlightCounts | None:
        """As `of`, for the version just made; None where it has taken no cohort key off its side."""
        if not _recalls(snapshot, snapshot.version):
            return None
        return await self.of(snapshot, snapshot.version, wait_s=wait_s)

    def _expected(self, snapshot: FlagSnapshot, version: int) -> int | None:
        """Workers that have something to say; None where nobody knows of any, and the catalogue is not current."""
        workers = sum(self._expected_of(side, snapshot, version) for side in Side)
        return workers if workers or self._catalogue.current else None

    def _expected_of(self, side: Side, snapshot: FlagSnapshot, version: int) -> int:
        names = [name for name, recalled in snapshot.recalls.get(side, {}).items() if recalled == version]
        tasks = [task for task in self._catalogue.names() if any(task == name or fnmatchcase(task, name) for name in names)]
        return self._catalogue.workers_of(side, tasks)


def _recalls(snapshot: FlagSnapshot, version: int) -> bool:
    return any(version in recalls.values() for recalls in snapshot.recalls.values())


def newest_recall(snapshot: FlagSnapshot, task: str | None) -> int:
    """The latest version that recalled messages of the task, or of any; 0 where none did."""
    return max(
        (
            version
            for recalls in snapshot.recalls.values()
            for name, version in recalls.items()
            if task is None or task == name or fnmatchcase(task, name)
        ),
        default=0,
    )
