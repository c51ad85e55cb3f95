"""Submit once more what was submitted before: a new submission with the same arguments, decided by the flags of now."""

from __future__ import annotations

from gateway.comparison import redacted_places
from gateway.core.errors import ArgumentsRedacted
from gateway.core.request import TaskRequest
from gateway.usecases.read_submission import ReadSubmission
from gateway.usecases.submit_task import SubmitTask, Submitted

__all__ = ["SubmitAgain"]


class SubmitAgain:
    """The earlier submission stays as it is. Its eta and its expiry are over and not taken along."""

    def __init__(self, read: ReadSubmission, submit: SubmitTask) -> None:
        self._read = read
        self._submit = submit

    async def submit(self, submission_id: str, *, idempotency_key: str | None = None) -> Submitted:
        """Raises `NotFound`, `StoreUnavailable`, `ArgumentsRedacted`, and what `SubmitTask.one` raises."""
        earlier = (await self._read.view(submission_id)).submission
        secrets = redacted_places({"args": list(earlier.args), "kwargs": earlier.kwargs})
        if secrets:
            raise ArgumentsRedacted(submission_id, secrets)
        own_key = earlier.cohort_key == submission_id
        request = TaskRequest(
            task=earlier.task,
            args=earlier.args,
            kwargs=earlier.kwargs,
            priority=earlier.options.priority,
            queue=earlier.options.queue,
            cohort_key=None if own_key else earlier.cohort_key,
            attributes={name: value for name, value in earlier.attributes.items() if isinstance(value, str | bool | int | float)},
        )
        return await self._submit.one(request, idempotency_key=idempotency_key)
