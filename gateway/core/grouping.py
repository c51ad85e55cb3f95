"""Which differences are the same fault."""

from __future__ import annotations

import hashlib

from gateway.core.comparison import Aspect, Comparison, Difference, DifferenceKind

__all__ = ["fingerprint", "first_of_each_group"]


def fingerprint(task: str, aspect: Aspect, kind: DifferenceKind, path: str) -> str:
    """16 hex digits that name a difference group, the same in every process and release.

    Source: SHA-256 over the four parts, each with its length in bytes before it, so that no two ways of cutting a text agree.
    """
    digest = hashlib.sha256()
    for part in (task, aspect, kind, path):
        text = part.encode("utf-8", "backslashreplace")
        digest.update(b"%d:" % len(text) + text)
    return digest.hexdigest()[:16]


def first_of_each_group(comparison: Comparison) -> dict[tuple[str, str], Difference]:
    """The groups one comparison belongs to, keyed by fingerprint and ignoring rule ("" for none), each with its first difference.

    What a rule hides and what it does not hide are two groups even where they share a fingerprint: a tolerance must not cover for the
    values beyond it.
    """
    groups: dict[tuple[str, str], Difference] = {}
    for difference in comparison.differences:
        key = fingerprint(comparison.task, difference.aspect, difference.kind, difference.path), difference.ignored_by or ""
        groups.setdefault(key, difference)
    return groups
