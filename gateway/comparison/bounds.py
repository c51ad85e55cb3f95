"""How much of hostile input is looked at. Counting nodes instead of time keeps a comparison repeatable."""

from __future__ import annotations

__all__ = ["MAX_DEPTH", "MAX_NODES", "Budget", "BudgetSpent"]

MAX_DEPTH = 200
"""Levels of nesting, counted from an outcome's value or an effect's payload."""
MAX_NODES = 200_000
"""JSON values visited in one pass."""


class BudgetSpent(Exception):
    """A pass has visited all the nodes it may."""


class Budget:
    """Counts the nodes one pass visits."""

    __slots__ = ("left",)

    def __init__(self, nodes: int = MAX_NODES) -> None:
        self.left = nodes

    def spend(self, nodes: int = 1) -> None:
        """Raises `BudgetSpent`."""
        self.left -= nodes
        if self.left < 0:
            raise BudgetSpent
