"""What a flags file did that nobody was asked for: said in the log, for the file is taken at its word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from dualrun.contracts import Side
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.forward_move import ForwardMove, forward_moves
from gateway.core.ports import Catalogue
from gateway.core.stages import step_of

__all__ = ["UnaskedSteps"]

log = logging.getLogger(__name__)


class UnaskedSteps:
    """Logs the steps forward of a file that anybody else would have been refused."""

    def __init__(self, catalogue: Catalogue, *, grace_s: float) -> None:
        self._catalogue = catalogue
        self._grace_s = grace_s
        self._watching: set[asyncio.Task[None]] = set()

    def note(self, before: FlagSnapshot, after: Mapping[str, Flag]) -> None:
        """Say at once what went past a gate or a hold, and after `grace_s` where still nobody is: workers may be starting, too."""
        moves = [move for move in forward_moves(before, after, self._catalogue.names()) if not move.stands_for_tasks]
        for move in moves:
            if move.before.gate is not None or move.before.held:
                log.warning("flags_file_passes_gate", extra={**_said(move), "held": move.before.held})
        watching = asyncio.create_task(self._look_later(moves), name="flags-file-unasked")
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    async def stop(self) -> None:
        """Look no more."""
        for watching in self._watching:
            watching.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    async def _look_later(self, moves: list[ForwardMove]) -> None:
        await asyncio.sleep(self._grace_s)
        if not self._catalogue.current:
            return
        for move in moves:
            if not self._catalogue.live_workers(Side.EVENTS, move.name):
                known = Side.EVENTS in self._catalogue.served_by(move.name)
                log.warning("flags_file_to_nobody", extra={**_said(move), "side": Side.EVENTS.value, "ever_announced": known})


def _said(move: ForwardMove) -> dict[str, object]:
    return {"task_name": move.name, "from": str(step_of(move.before)), "to": str(step_of(move.after))}
