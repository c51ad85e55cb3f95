"""Settings of a worker process, from environment variables: what the capture and the event runtime need to reach."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
    """`DUALRUN_SHADOW_ALLOW`: `host:port,...`, `host` for every port, or the path of a Unix socket: where a shadow may connect itself."""
    spool_dir: Path
    """`DUALRUN_SPOOL_DIR`: where outcomes wait until the broker has them; on a disk that outlives the process."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> WorkerSettings:
        """Settings with their defaults. Raises `ConfigurationError`."""
        return cls(
            amqp_url=env.get("DUALRUN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"),
            redis_url=env.get("DUALRUN_REDIS_URL"),
            redis_prefix=env.get("DUALRUN_REDIS_PREFIX", "dualrun:"),
            claim_lease_s=_seconds(env, "DUALRUN_CLAIM_LEASE_S", "10"),
            service=env.get("DUALRUN_SERVICE", "shop"),
            shadow_allow=frozenset(part.strip().lower() for part in env.get("DUALRUN_SHADOW_ALLOW", "").split(",") if part.strip()),
            spool_dir=Path(env.get("DUALRUN_SPOOL_DIR", str(Path(tempfile.gettempdir()) / "dualrun-spool"))),
        )

    def __repr__(self) -> str:
        return f"WorkerSettings(service={self.service!r}, spool_dir={str(self.spool_dir)!r})"


def _seconds(env: Mapping[str, str], name: str, default: str) -> float:
    text = env.get(name, default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600.0:
        raise ConfigurationError(f"{name} is {text!r}, should be seconds from 0.1 to 3600")
    return seconds
