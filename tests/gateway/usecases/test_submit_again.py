"""A submission is submitted again as a new one."""

from __future__ import annotations

import pytest

from dualrun.contracts import SubmissionRecord
from gateway.core.errors import ArgumentsRedacted, NotFound
from gateway.core.request import TaskRequest
from tests.support.gateway_parts import LEGACY_QUEUE, TASK, MemoryGateway, memory_gateway
from tests.support.records import NOON


async def recorded(gateway: MemoryGateway, request: TaskRequest) -> str:
    accepted = (await gateway.services.submit.one(request)).accepted
    await gateway.comparator.start()
    await gateway.services.read.view(accepted.id)
    return accepted.id


async def test_the_new_one_has_the_same_arguments_and_its_own_id_and_time() -> None:
    async with memory_gateway() as gateway:
        earlier = await recorded(
            gateway, TaskRequest(task=TASK, args=(7, "ann@example.org"), countdown=3600.0, attributes={"plan": "gold"})
        )
        again = (await gateway.services.submit_again.submit(earlier)).accepted
        first, second = [(await gateway.services.read.view(id_)).submission for id_ in (earlier, again.id)]
        assert again.id != earlier
        assert (second.args, second.kwargs, second.attributes) == (first.args, first.kwargs, first.attributes)
        assert (second.options.eta, second.cohort_key) == (None, again.id)
        assert (await gateway.depths())[LEGACY_QUEUE] == 2


async def test_arguments_whose_secrets_were_not_kept_are_not_sent() -> None:
    async with memory_gateway() as gateway:
        record = await recorded(gateway, TaskRequest(task=TASK, args=(7, "ann@example.org")))
        view = await gateway.services.read.view(record)
        hidden = "<secret:0123456789ab>"
        submission = type(view.submission)(
            id="s1", task=TASK, args=(7, hidden), kwargs={"notify": {"token": hidden}}, options=view.submission.options,
            cohort_key="s1", submitted_at=NOON,
        )  # fmt: skip
        await gateway.ledger.append([SubmissionRecord(submission=submission, decision=view.decision)], arrived_at=NOON)
        with pytest.raises(ArgumentsRedacted, match=r"/args/1, /kwargs/notify/token"):
            await gateway.services.submit_again.submit("s1")
        with pytest.raises(NotFound):
            await gateway.services.submit_again.submit("unknown")
        assert (await gateway.depths())[LEGACY_QUEUE] == 1
