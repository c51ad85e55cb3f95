"""Which gateway a command speaks to, and as whom: profiles in a file of the user's, the environment, and the command line."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.cli.exit_code import ExitCode
from gateway.cli.refusal import Refused

__all__ = ["DEFAULT_URL", "Connection", "Profile", "Profiles", "choose", "config_file", "read_profiles"]

DEFAULT_URL = "http://127.0.0.1:8080"
_FOREIGN_BITS = stat.S_IRWXG | stat.S_IRWXO


class Profile(BaseModel):
    """One gateway."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://")
    token: Annotated[str | None, Field(repr=False)] = None
    token_file: Path | None = None


class Profiles(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: str | None = None
    profiles: Mapping[str, Profile] = {}


@dataclass(frozen=True, slots=True)
class Connection:
    """A gateway, and the token it is shown."""

    url: str
    token: str | None = field(default=None, repr=False)
    profile: str | None = None


def config_file(env: Mapping[str, str] = os.environ) -> Path:
    """`DUALRUN_CONFIG`, or `config.toml` in the folder the system keeps a user's settings of `dualrun` in."""
    return Path(env.get("DUALRUN_CONFIG") or Path(typer.get_app_dir("dualrun")) / "config.toml")


def read_profiles(path: Path) -> Profiles:
    """What the file holds; nothing where there is none. Raises `Refused`, naming the member and what would be right."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Profiles()
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused(f"{path} cannot be read: {exc}", ExitCode.WRONG) from exc
    try:
        found = Profiles.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise Refused(f"{path} is no TOML: {exc}", ExitCode.WRONG) from exc
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors(include_input=False))
        raise Refused(f"{path}: {wrong}. A profile is `[profiles.NAME]` with `url`, and `token_file` or `token`", ExitCode.WRONG) from exc
    if any(profile.token for profile in found.profiles.values()):
        _keep_private(path)
    return found


def choose(url: str | None, profile: str | None, env: Mapping[str, str] = os.environ) -> Connection:
    """The connection that is meant: the command line before the environment, that before the file's default, that before loopback.

    `DUALRUN_TOKEN`, or the file `DUALRUN_TOKEN_FILE` names, is shown to whichever gateway it is; a profile's token to its gateway alone.
    Raises `Refused`.
    """
    if url and profile:
        raise Refused("--url and --profile both name a gateway: give one of them", ExitCode.WRONG)
    if not (url or profile):
        url, profile = env.get("DUALRUN_GATEWAY_URL"), env.get("DUALRUN_PROFILE")
        if url and profile:
            raise Refused("DUALRUN_GATEWAY_URL and DUALRUN_PROFILE both name a gateway: unset one of them", ExitCode.WRONG)
    token = _token_of(env)
    if url:
        return Connection(_checked(url), token)
    path = config_file(env)
    found = read_profiles(path)
    name = profile or found.default
    if name is None:
        return Connection(DEFAULT_URL, token)
    if name not in found.profiles:
        there = f"it has {', '.join(sorted(found.profiles))}" if found.profiles else "it has none"
        raise Refused(f"no profile {name!r} in {path}: {there}. `dualrun profiles --help` shows how to write one", ExitCode.WRONG)
    chosen = found.profiles[name]
    return Connection(chosen.url, token or chosen.token or _read_token(chosen.token_file), name)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(f"{url!r} is no gateway's address: it looks like {DEFAULT_URL}", ExitCode.WRONG)
    return url


def _token_of(env: Mapping[str, str]) -> str | None:
    file = env.get("DUALRUN_TOKEN_FILE")
    return env.get("DUALRUN_TOKEN") or _read_token(Path(file) if file else None)


def _read_token(path: Path | None) -> str | None:
    if path is None:
        return None
    path = path.expanduser()
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused(f"the token file {path} cannot be read: {exc}", ExitCode.WRONG) from exc
    _keep_private(path)
    return token or None


def _keep_private(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & _FOREIGN_BITS:
        raise Refused(f"{path} holds a token and others can read it: chmod 600 {path}", ExitCode.WRONG)
