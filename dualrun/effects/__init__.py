"""Effects: what a task does to the outside, captured on both sides without touching its code, and held back in a shadow."""

from __future__ import annotations

from dualrun.effects.execution import Execution, current_execution, effect, execution
from dualrun.effects.install import install

__all__ = ["Execution", "current_execution", "effect", "execution", "install"]
