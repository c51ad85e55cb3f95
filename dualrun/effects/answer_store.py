"""The store of this process for what the outside answers: Redis where the workers have one, else this process's memory."""

from __future__ import annotations

from functools import cache

from dualrun.effects.answers import Answers, MemoryAnswers, Replay
from dualrun.effects.execution import Execution
from dualrun.settings import WorkerSettings

__all__ = ["keep", "look_up"]


@cache
def _store() -> Answers:
    settings = WorkerSettings.from_env()
    if settings.redis_url is None:
        return MemoryAnswers()
    from dualrun.effects.answers_redis import RedisAnswers

    return RedisAnswers(settings.redis_url, settings.redis_prefix)


def keep(run: Execution) -> None:
    """The authority's run is over: keep what the outside answered it, where a shadow will ask."""
    if run.recorder is not None:
        _store().put(run.submission_id, run.recorder.recording())


def look_up(run: Execution) -> None:
    """A shadow is about to run: give it what the authority was answered, if that has ended. May block for a short time; never raises."""
    recording = _store().get(run.submission_id)
    if recording is not None:
        run.replay = Replay(recording.answers, complete=recording.complete)
