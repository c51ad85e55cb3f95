"""Settings of a worker process, from environment variables: what the capture and the event runtime need to reach."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dualrun.contracts.words import Unknown
from dualrun.errors import ConfigurationError

__all__ = ["WorkerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """One worker process. URLs may hold passwords, so they are not in the repr."""

    amqp_url: str
    """`DUALRUN_AMQP_URL`: RabbitMQ for events and records."""
    redis_url: str | None
    """`DUALRUN_REDIS_URL`: where workers announce themselves and remember what they did; unset means they do neither."""
    redis_prefix: str
    """`DUALRUN_REDIS_PREFIX`: put before every key."""
    claim_lease_s: float
    """`DUALRUN_CLAIM_LEASE_S`: how long an event that a crash interrupted waits before another worker takes it."""
    service: str
    """`DUALRUN_SERVICE`: names this service's queues."""
    shadow_allow: frozenset[str] = frozenset()
    """`DUALRUN_SHADOW_ALLOW`: `host:port,...`, `host` for every port, or a path: where a shadow may connect or write itself."""
    shadow_unknown_reads: Unknown | None = None
    """`DUALRUN_SHADOW_UNKNOWN_READS`: allow, stub or fail, for a read the authority never made; None is as the safety class says."""
    shadow_unknown_writes: Unknown | None = None
    """`DUALRUN_SHADOW_UNKNOWN_WRITES`: stub or fail, for a write the authority never made; None is as the safety class says."""
    file_places: tuple[Path, ...] = ()
    """`DUALRUN_FILE_PLACES`: directories, comma-separated, in which written files are effects."""
    spool_dir: Path
    """`DUALRUN_SPOOL_DIR`: where outcomes wait until the broker has them; on a disk that outlives the process."""

    metrics_address: tuple[str, int] | None = None
    """`DUALRUN_METRICS_HOST` and `DUALRUN_METRICS_PORT`: where /healthz, /readyz and /metrics are answered; None is nowhere."""

    state_dir: Path
    """`DUALRUN_STATE_DIR`: the last known flags, for a start while Redis is away."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> WorkerSettings:
        """Settings with their defaults. Raises `ConfigurationError`."""
        return cls(
            amqp_url=env.get("DUALRUN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"),
            redis_url=env.get("DUALRUN_REDIS_URL"),
            redis_prefix=env.get("DUALRUN_REDIS_PREFIX", "dualrun:"),
            claim_lease_s=_seconds(env, "DUALRUN_CLAIM_LEASE_S", "10"),
            service=env.get("DUALRUN_SERVICE", "shop"),
            shadow_allow=frozenset(_place(part.strip()) for part in env.get("DUALRUN_SHADOW_ALLOW", "").split(",") if part.strip()),
            shadow_unknown_reads=_unknown(env, "DUALRUN_SHADOW_UNKNOWN_READS", tuple(Unknown)),
            shadow_unknown_writes=_unknown(env, "DUALRUN_SHADOW_UNKNOWN_WRITES", (Unknown.STUB, Unknown.FAIL)),
            metrics_address=_address(env),
            file_places=tuple(Path(part.strip()) for part in env.get("DUALRUN_FILE_PLACES", "").split(",") if part.strip()),
            spool_dir=Path(env.get("DUALRUN_SPOOL_DIR", str(Path(tempfile.gettempdir()) / "dualrun-spool"))),
            state_dir=Path(env.get("DUALRUN_STATE_DIR", str(Path(tempfile.gettempdir()) / "dualrun-state"))),
        )

    def __repr__(self) -> str:
        return f"WorkerSettings(service={self.service!r}, spool_dir={str(self.spool_dir)!r})"


def _place(text: str) -> str:
    """A path as it stands; addresses are the same in any case."""
    return text if text.startswith("/") else text.lower()


def _address(env: Mapping[str, str]) -> tuple[str, int] | None:
    text = env.get("DUALRUN_METRICS_PORT")
    if not text:
        return None
    if not (text.isdecimal() and int(text) <= 65_535):
        raise ConfigurationError(f"DUALRUN_METRICS_PORT is {text!r}, should be a port from 0 to 65535")
    return env.get("DUALRUN_METRICS_HOST") or "127.0.0.1", int(text)


def _unknown(env: Mapping[str, str], name: str, allowed: Sequence[Unknown]) -> Unknown | None:
    text = env.get(name)
    if not text:
        return None
    if text not in {choice.value for choice in allowed}:
        raise ConfigurationError(f"{name} is {text!r}, should be one of {', '.join(choice.value for choice in allowed)}")
    return Unknown(text)


def _seconds(env: Mapping[str, str], name: str, default: str) -> float:
    text = env.get(name, default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600.0:
        raise ConfigurationError(f"{name} is {text!r}, should be seconds from 0.1 to 3600")
    return seconds
