"""Changing flags while others do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dualrun.contracts import Mode
from gateway.core.errors import FlagConflict
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.flags import MemoryFlagStore
from tests.support.gating import Way

CART, ORDER = Flag(task="cart.merge", mode=Mode.CANARY, events_share=1_000), Flag(task="order.send", mode=Mode.EVENTS)


class _Overtaken(MemoryFlagStore):
    """Somebody else's flags come in before each of the first changes."""

    def __init__(self, *others: Mapping[str, Flag]) -> None:
        super().__init__()
        self._others = list(others)

    async def replace(
        self,
        flags: Mapping[str, Flag],
        *,
        expected_version: int | None,
        author: str,
        reason: str,
        source: str,
        evidence: FlagEvidence | None = None,
    ) -> FlagSnapshot:
        if self._others and author == "ann":
            await super().replace(self._others.pop(0), expected_version=None, author="ben", reason="", source="api")
        return await super().replace(flags, expected_version=expected_version, author=author, reason=reason, source=source)


async def _set(store: MemoryFlagStore, flag: Flag, expected: int | None = None) -> FlagSnapshot:
    way = Way(store, serves=(CART.task, ORDER.task))
    return await way.change.set(flag, author="ann", reason="", source="api", expected_version=expected)


async def test_a_change_of_another_flag_meanwhile_is_kept() -> None:
    store = _Overtaken({ORDER.task: ORDER})
    assert (await _set(store, CART)).flags == {CART.task: CART, ORDER.task: ORDER}


@pytest.mark.parametrize("rolled_back", ["cart.merge", "cart.*"])
async def test_a_change_never_undoes_a_rollback_of_the_same_task_it_did_not_know_of(rolled_back: str) -> None:
    store = _Overtaken({rolled_back: Flag(task=rolled_back)})
    with pytest.raises(FlagConflict):
        await _set(store, CART)
    assert store.snapshot.flags[rolled_back].mode is Mode.LEGACY
    assert store.snapshot.version == 1


async def test_a_change_gives_up_when_it_is_overtaken_again_and_again() -> None:
    store = _Overtaken(*({f"x{n}": ORDER} for n in range(9)))
    with pytest.raises(FlagConflict):
        await _set(store, CART)


async def test_a_version_nobody_made_conflicts() -> None:
    store = MemoryFlagStore()
    with pytest.raises(FlagConflict) as caught:
        await _set(store, CART, expected=7)
    assert caught.value.current_version == 0
