"""Settings of the gateway and the comparator: one frozen object, read once from the environment."""

from __future__ import annotations

import math
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from dualrun.errors import ConfigurationError
from gateway.core.access import Permission

__all__ = ["LOOPBACK", "AccessMode", "CheckArguments", "FlagsMode", "Settings"]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class AccessMode(StrEnum):
    """Whether callers have to say who they are."""

    AUTO = "auto"
    """Everywhere but on a loopback address."""
    REQUIRED = "required"
    OFF = "off"
    """Nobody has to; then only requests to a loopback address are answered."""


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
    OPENFEATURE = "openfeature"
    """An OpenFeature provider says mode and percentages, the flags file everything else; every other change is refused."""


_TOKEN_LENGTH = 32


class Settings(BaseSettings):
    """Environment variables `DUALRUN_*`. URLs may hold passwords and are secret in every repr."""

    model_config = SettingsConfigDict(env_prefix="DUALRUN_", frozen=True, extra="ignore")

    access: AccessMode = AccessMode.AUTO
    """Whether callers have to show an access token, or log in."""
    listen_host: str | None = None
    """The address `dualrun gateway` listens on; None: whoever serves the application knows it alone, and it may be any."""
    admin_token: SecretStr | None = None
    """A token with every permission: for the first start, and for when Redis is away. 32 characters at least."""
    admin_token_file: Path | None = None
    """The same from a file, as secrets are mounted."""
    submit_token: SecretStr | None = None
    """A token that may submit tasks, for producers that start together with the gateway."""
    submit_token_file: Path | None = None
    public_url: str | None = None
    """Where browsers find the gateway, https://dualrun.example.org; logging in with an identity provider needs it."""
    oidc_issuer: str | None = None
    """An OpenID Connect provider people may log in to the console with."""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_claim: str = "groups"
    """Which claim of its tokens says what they may do."""
    oidc_permissions: Annotated[dict[str, Permission], NoDecode] = Field(default_factory=dict)
    """`GROUP=PERMISSION`, comma-separated; the group `*` is everybody."""
    session_s: float = Field(default=43_200.0, gt=0)
    """How long a login to the console lasts."""
    rate_per_s: float = Field(default=1_000.0, ge=0)
    """Requests a second one token may make, unless it says otherwise; 0: any number."""
    max_waits: int = Field(default=500, ge=1)
    """Requests that may wait at once in one process: for results, and on the event stream."""
    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
    """RabbitMQ for events, shadows and records."""
    celery_broker_url: SecretStr | None = None
    """The broker the Celery workers consume from; the same RabbitMQ where unset."""
    celery_serializers: Annotated[tuple[str, ...], NoDecode] = ("json",)
    """What Celery messages may be written in, comma-separated: of the others only those that are named here, pickle and all."""
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
    redaction_key: SecretStr = SecretStr("dualrun")
    """Digests that stand for secrets in the ledger are made with it; the same for every comparator, and not changed."""
    openfeature_provider: str | None = None
    """`package.module:name` of a provider, or of a function without arguments that makes one."""
    openfeature_prefix: str = ""
    """What the provider's flags are called: this, and the task's name."""
    openfeature_poll_s: float = Field(default=5.0, gt=0)
    """How often the provider is asked, besides whenever it tells of a change."""
    webhooks_file: Path | None = Path("config/webhooks.yaml")
    """Whom to tell of flag versions and of the gate's word; where there is no such file, nobody."""
    webhooks_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks of one's own that webhooks may be in, comma-separated; every public address may be one."""
    state_dir: Path = Path(".dualrun")
    """Last known good flags and catalogue, for a start while Redis is away."""
    compare_deadline_s: float = Field(default=300.0, gt=0)
    """How long after it was due a submission may wait for its second outcome."""
    retention_records_days: float = Field(default=14.0, ge=0)
    """How long the ledger keeps submissions, outcomes and comparisons, all but samples of differences; 0: for ever."""
    retention_hours_days: float = Field(default=400.0, ge=0)
    """How long it keeps what is counted by the hour, for reports of a window and for charts; totals stay. 0: for ever."""
    gate_interval_s: float = Field(default=5.0, gt=0)
    """How often a comparator looks at every gated task."""
    worker_loss_grace_s: float = Field(default=15.0, ge=0)
    """How long a side that answers may be without a live worker before that is a loss. Workers repeat themselves every 10 s."""
    check_arguments: CheckArguments = CheckArguments.ALWAYS
    shadow_lane_capacity: int = Field(default=10_000, ge=1)
    drain_s: float = Field(default=10.0, ge=0)
    max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    max_batch_body_bytes: int = Field(default=33_554_432, ge=1_024)
    max_json_depth: int = Field(default=64, ge=4, le=200)
    max_wait_s: float = Field(default=60.0, ge=0)
    """The longest a result may be waited for in one request."""

    @field_validator("celery_serializers", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("webhooks_allow", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _file_to_change_flags_by(self) -> Settings:
        if self.flags_mode is FlagsMode.FILE and self.flags_file is None:
            raise ValueError("DUALRUN_FLAGS_MODE=file needs DUALRUN_FLAGS_FILE: the file that may change flags")
        if self.flags_mode is FlagsMode.OPENFEATURE and self.openfeature_provider is None:
            raise ValueError("DUALRUN_FLAGS_MODE=openfeature needs DUALRUN_OPENFEATURE_PROVIDER: package.module:name of the provider")
        return self

    @model_validator(mode="after")
    def _hours_outlast_records(self) -> Settings:
        if 0 < self.retention_hours_days < (self.retention_records_days or math.inf):
            raise ValueError(
                "DUALRUN_RETENTION_HOURS_DAYS should be DUALRUN_RETENTION_RECORDS_DAYS or more: pairs on record can be judged again"
            )
        return self

    @field_validator("oidc_permissions", mode="before")
    @classmethod
    def _by_group(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip().rpartition("=") for part in value.split(",") if part.strip()]
        return {group: permission for group, _, permission in parts}

    @model_validator(mode="after")
    def _whole_oidc(self) -> Settings:
        missing = [name for name in ("public_url", "oidc_client_id", "oidc_permissions") if not getattr(self, name)]
        if self.oidc_issuer is not None and missing:
            raise ValueError(f"DUALRUN_OIDC_ISSUER needs {', '.join(f'DUALRUN_{name.upper()}' for name in missing)} too")
        return self

    @field_validator(
        "public_url", "oidc_issuer", "admin_token", "admin_token_file", "submit_token", "submit_token_file", "listen_host", mode="before"
    )
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("admin_token", "submit_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _TOKEN_LENGTH:
            raise ValueError(f"should have {_TOKEN_LENGTH} characters at least: openssl rand -hex 32")
        return value

    @property
    def access_required(self) -> bool:
        """Whether callers have to say who they are."""
        return self.access is AccessMode.REQUIRED or (self.access is AccessMode.AUTO and self.listen_host not in LOOPBACK)

    @property
    def admin_secret(self) -> str | None:
        """The administrator's token, from wherever it is. Raises `ConfigurationError` where its file cannot be used."""
        return _secret(self.admin_token, self.admin_token_file)

    @property
    def submit_secret(self) -> str | None:
        """As `admin_secret`."""
        return _secret(self.submit_token, self.submit_token_file)

    @property
    def celery_url(self) -> str:
        """The Celery broker's URL, in the clear."""
        return (self.celery_broker_url or self.amqp_url).get_secret_value()


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    if file is None:
        return None if value is None else value.get_secret_value()
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"the access token in {file} cannot be read: {exc}") from exc
    if len(secret) < _TOKEN_LENGTH:
        raise ConfigurationError(f"the access token in {file} should have {_TOKEN_LENGTH} characters at least")
    return secret
