"""The closed vocabularies: side, role, mode, state, safety class, and what becomes of unknown calls."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Mode", "Reason", "Role", "Safety", "Side", "State", "Unknown"]


class Side(StrEnum):
    """Where work runs."""

    LEGACY = "legacy"
    """The Celery worker."""
    EVENTS = "events"
    """The event handler."""


class Role(StrEnum):
    """What a run counts for."""

    AUTHORITY = "authority"
    """It answers the caller and its effects are real."""
    SHADOW = "shadow"
    """It is only observed."""


class Mode(StrEnum):
    """How far one task is on its way. The order is the way; any step back is always allowed."""

    LEGACY = "legacy"
    SHADOW = "shadow"
    CANARY = "canary"
    MIRROR = "mirror"
    EVENTS = "events"


class Safety(StrEnum):
    """What a shadow of the task may do to the outside."""

    PURE = "pure"
    """The task has no effects."""
    IDEMPOTENT = "idempotent"
    """Doing the effects twice is the same as doing them once."""
    SANDBOXED = "sandboxed"
    """Effects are captured and not performed."""
    UNSAFE = "unsafe"
    """Never run as a shadow. A task that declares no class is unsafe."""


class Reason(StrEnum):
    """Why a decision is what it is."""

    NO_FLAG = "no_flag"
    """No flag names the task: legacy answers."""
    BY_MODE = "by_mode"
    """The mode alone decides the authority."""
    BY_RULE = "by_rule"
    """As `by_mode`, with the mode of the targeting rule that `rule` names."""
    IN_ROLLOUT = "in_rollout"
    """Canary, and the cohort key is among `events_percent`."""
    OUT_OF_ROLLOUT = "out_of_rollout"
    """Canary, and the cohort key is not among `events_percent`."""


class State(StrEnum):
    """How one side ended with one submission. A failing side is data, not an exception."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    """Its `expires` had passed when the worker received it."""
    REVOKED = "revoked"
    IGNORED = "ignored"
    """The task asked for its result to be forgotten (Celery's `Ignore`)."""
    REJECTED = "rejected"
    """The worker refused the message: unknown task, unreadable body, Celery's `Reject`."""
    DEAD_LETTERED = "dead_lettered"
    """Retries ended without success and the message was put aside."""


class Unknown(StrEnum):
    """What becomes of a shadow's call the authority never made, once there are answers to compare with."""

    FAIL = "fail"
    """`ShadowRefused` is raised."""
    STUB = "stub"
    """It is answered as if it had gone well, without content."""
    ALLOW = "allow"
    """It is performed; for reads only."""
