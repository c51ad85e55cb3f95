"""Settings of the gateway and the comparator: one frozen object, read once from the environment."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["CheckArguments", "FlagsMode", "Settings"]


class CheckArguments(StrEnum):
    """When arguments are checked against the event handler's payload model before anything is published."""

    ALWAYS = "always"
    """For every submission of a task that has a handler: what the handler would refuse never enters."""
    AUTHORITY = "authority"
    """Only where the handler is the authority; otherwise a refusal shows as a difference of the shadow."""


class FlagsMode(StrEnum):
    """Who may change flags."""

    STORE = "store"
    """The API, and the flags file where there is one: each change stays until the next."""
    FILE = "file"
    """The flags file alone; every other change is refused, a rollback too. Then an edit is in force even while Redis is away."""


class Settings(BaseSettings):
    """Environment variables `DUALRUN_*`. URLs may hold passwords and are secret in every repr."""

    model_config = SettingsConfigDict(env_prefix="DUALRUN_", frozen=True, extra="ignore")

    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
    """RabbitMQ for events, shadows and records."""
    celery_broker_url: SecretStr | None = None
    """The broker the Celery workers consume from; the same RabbitMQ where unset."""
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Flags, catalogue, idempotency keys, notices."""
    redis_prefix: str = "dualrun:"
    ledger_url: SecretStr = SecretStr("sqlite:///.dualrun/ledger.sqlite")
    """`sqlite:///PATH` or `postgresql://...`."""
    flags_file: Path | None = Path("config/flags.yaml")
    """Applied when its content changes; where there is no such file, flags are changed through the API alone."""
    flags_mode: FlagsMode = FlagsMode.STORE
    rules_dir: Path | None = Path("config/rules")
    """One file of comparison rules a task; where there is no such folder, no rules hold."""
    state_dir: Path = Path(".dualrun")
    """Last known good flags and catalogue, for a start while Redis is away."""
    compare_deadline_s: float = Field(default=300.0, gt=0)
    """How long after it was due a submission may wait for its second outcome."""
    check_arguments: CheckArguments = CheckArguments.ALWAYS
    shadow_lane_capacity: int = Field(default=10_000, ge=1)
    drain_s: float = Field(default=10.0, ge=0)
    max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    max_batch_body_bytes: int = Field(default=33_554_432, ge=1_024)
    max_json_depth: int = Field(default=64, ge=4, le=200)
    max_wait_s: float = Field(default=60.0, ge=0)
    """The longest a result may be waited for in one request."""

    @model_validator(mode="after")
    def _file_to_change_flags_by(self) -> Settings:
        if self.flags_mode is FlagsMode.FILE and self.flags_file is None:
            raise ValueError("DUALRUN_FLAGS_MODE=file needs DUALRUN_FLAGS_FILE: the file that may change flags")
        return self

    @property
    def celery_url(self) -> str:
        """The Celery broker's URL, in the clear."""
        return (self.celery_broker_url or self.amqp_url).get_secret_value()
