"""concurrent.futures: a pool of processes takes nothing from a shadow, whose end its processes do not see."""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.guard import guarded, refuse_process

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put it into `ProcessPoolExecutor.submit`, through which `map` goes too."""
    submit = library.ProcessPoolExecutor.submit

    @wraps(submit)
    def submitting(self: object, /, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in concurrent.futures
        if guarded():
            refuse_process("ProcessPoolExecutor")
        return submit(self, *args, **kwargs)

    library.ProcessPoolExecutor.submit = submitting
