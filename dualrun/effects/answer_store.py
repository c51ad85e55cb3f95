"""The store of this process for what the outside answers: Redis where the workers have one, else this process's memory."""

from __future__ import annotations

from functools import cache

from dualrun.effects.answers import Answers, MemoryAnswers, Recording, Replay
from dualrun.effects.execution import Execution
from dualrun.settings import WorkerSettings

__all__ = ["answers_dropped", "keep", "look_up"]


@cache
def _store() -> Answers:
    settings = WorkerSettings.from_env()
    if settings.redis_url is None:
        return MemoryAnswers()
    from dualrun.effects.answers_redis import RedisAnswers

    return RedisAnswers(settings.redis_url, settings.redis_prefix)


def keep(submission_id: str, recording: Recording, *, attempt: int, is_last: bool) -> None:
    """An attempt of the authority's is over: keep what the outside answered it. Never raises."""
    _store().put(submission_id, recording, attempt=attempt, is_last=is_last)


def answers_dropped(run: Execution) -> int:
    """What the outcome of a run says was not kept for a shadow: its answers too large, and recordings of this process that were lost.

    Those are lost after their outcome is written, so the next one of an authority with a shadow tells of them.
    """
    return run.answers_dropped + (0 if run.recorder is None else _store().take_lost())


def look_up(run: Execution, attempt: int) -> None:
    """A shadow's attempt is about to run: give it what the authority's was answered, if that is over. May block shortly; never raises."""
    recording = _store().get(run.submission_id, attempt)
    if recording is not None:
        run.replay = Replay(recording.answers, complete=recording.complete)
