"""Cancelling in the single process: real workers of both sides act on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualrun.contracts import Mode, Side, State
from gateway.core.flags import Flag
from gateway.core.request import TaskRequest
from gateway.embedded.stack import EmbeddedOptions, open_embedded


@pytest.mark.parametrize(("mode", "side"), [(Mode.LEGACY, Side.LEGACY), (Mode.EVENTS, Side.EVENTS)])
async def test_a_scheduled_task_is_revoked_when_its_time_comes(tmp_path: Path, mode: Mode, side: Side) -> None:
    async with open_embedded(EmbeddedOptions(state_dir=tmp_path, drain_s=5.0)) as stack:
        services = stack.services
        await services.change_flag.set(Flag(task="learning.add", mode=mode), author="a", reason="", source="api")
        accepted = (await services.submit.one(TaskRequest(task="learning.add", args=(2, 3), countdown=4.0))).accepted
        cancelled = await services.cancel.one(accepted.id)
        assert all(asked.asked for asked in cancelled.asked)
        outcome = await services.read.result(accepted.id, 20.0)
    assert outcome is not None
    assert (outcome.side, outcome.state) == (side, State.REVOKED)
