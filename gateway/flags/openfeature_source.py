"""Modes and percentages from an OpenFeature provider: asked beside the requests, and put in force as versions like any other.

A task's flag at the provider is called by the prefix and the task's name, and is an object: `{"mode": "canary", "events_percent": 5,
"shadow_percent": 100}`. Safety class, cohorts, rules and gate stay in the flags file.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.provider import AbstractProvider

from dualrun.background import cancelled
from dualrun.contracts import Mode
from dualrun.errors import ConfigurationError
from gateway.core.errors import FlagConflict, FlagRejected, FlagsFileRejected, StoreUnavailable
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.ports import FlagStore
from gateway.core.share import percent_of, share_of
from gateway.flags.document import parse_flags

__all__ = ["OpenFeatureFlags", "load_provider"]

log = logging.getLogger(__name__)

_DOMAIN = "dualrun"
_CHANGES = (ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)


class _Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider's flag holds."""

    mode: Mode
    events_percent: float = 0
    shadow_percent: float = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """Everything the flags are made of: where it is as the last time, there is nothing to put in force."""

    base: Mapping[str, Flag]
    said: Mapping[str, _Said | None]
    """None where the provider has no flag for the task: then the file's holds."""


def load_provider(name: str) -> AbstractProvider:
    """The provider at `package.module:name`, or what the function there makes. Raises `ConfigurationError`."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigurationError(f"DUALRUN_OPENFEATURE_PROVIDER={name}: {exc}; it should be package.module:name") from exc
    provider = found() if callable(found) else found
    if not isinstance(provider, AbstractProvider):
        raise ConfigurationError(f"DUALRUN_OPENFEATURE_PROVIDER={name}: is no OpenFeature provider, but {type(provider).__name__}")
    return provider


class OpenFeatureFlags:
    """Asks a provider for every task of the catalogue and of the file, whenever it tells of a change, and every `poll_s`.

    What cannot be had (the provider away, an answer that makes no sense, a shadow the safety class forbids) stays as it is in force. A
    version is made where what is asked for has changed as seen from here: gateways whose providers hear of a change one after the other
    do not undo it for one another.
    """

    def __init__(
        self,
        provider: AbstractProvider,
        store: FlagStore,
        *,
        file: Path | None,
        tasks: Callable[[], Collection[str]],
        prefix: str = "",
        poll_s: float = 5.0,
    ) -> None:
        self._provider = provider
        self._client = api.get_client(_DOMAIN)
        self._store = store
        self._file = file
        self._tasks = tasks
        self._prefix = prefix
        self._poll_s = poll_s
        self._base: Mapping[str, Flag] = {}
        self._asked: _Asked | None = None
        self._complaints: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to ask. A provider that is not ready yet keeps nobody waiting."""
        self._loop = asyncio.get_running_loop()
        for event in _CHANGES:
            self._client.add_handler(event, self._heard)
        await asyncio.to_thread(api.set_provider, self._provider, _DOMAIN)
        self._following = asyncio.create_task(self._follow(), name="openfeature flags")

    async def stop(self) -> None:
        """Ask no more, and shut the provider down; the flags stay in force."""
        await cancelled(self._following)
        for event in _CHANGES:
            self._client.remove_handler(event, self._heard)
        await asyncio.to_thread(self._provider.shutdown)

    def _heard(self, _: EventDetails) -> None:
        # Providers tell of changes in threads of their own.
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    async def _follow(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._look()
            except Exception:
                log.exception("openfeature_not_followed")
            try:
                await asyncio.wait_for(self._changed.wait(), self._poll_s)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        self._base = await asyncio.to_thread(self._read_base)
        present = self._store.snapshot
        # What is in force too: a task nobody has announced since the start of this gateway keeps its flag.
        known = (*self._base.values(), *present.flags.values())
        names = sorted({flag.task for flag in known if not flag.is_glob} | set(self._tasks()))
        asked = _Asked(self._base, await asyncio.to_thread(self._ask, names, present))
        if asked == self._asked:
            return
        flags = self._wanted(asked, present)
        try:
            if flags != present.flags:
                provider = self._provider.get_metadata().name
                await self._store.replace(
                    flags, expected_version=present.version, author=provider, reason="OpenFeature", source="openfeature"
                )
            self._asked = asked
        except FlagConflict:
            self._changed.set()  # another gateway was first: look again at once
        except StoreUnavailable as exc:
            log.warning("openfeature_waits", extra={"reason": str(exc)})

    def _read_base(self) -> Mapping[str, Flag]:
        if self._file is None:
            return {}
        try:
            return parse_flags(self._file.read_text(encoding="utf-8"), str(self._file))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, FlagsFileRejected) as exc:
            self._complain("the flags file", str(exc))
            return self._base

    def _ask(self, names: Collection[str], present: FlagSnapshot) -> Mapping[str, _Said | None]:
        """In a thread: providers may well block."""
        return {name: self._said(name, present) for name in names}

    def _said(self, task: str, present: FlagSnapshot) -> _Said | None:
        context = EvaluationContext(targeting_key=task, attributes={"task": task})
        answer = self._client.get_object_details(f"{self._prefix}{task}", {}, context)
        if answer.error_code is ErrorCode.FLAG_NOT_FOUND:
            return None
        if answer.error_code is not None:
            self._complain(task, f"{answer.error_code.value}: {answer.error_message}")
            return self._as_before(task, present)
        try:
            said = msgspec.convert(answer.value, _Said)
            self._flag(task, said, self._base).check()
        except (msgspec.ValidationError, ValueError, FlagRejected) as exc:
            self._complain(task, str(exc))
            return self._as_before(task, present)
        self._complaints.pop(task, None)
        return said

    def _as_before(self, task: str, present: FlagSnapshot) -> _Said | None:
        if self._asked is not None and task in self._asked.said:
            return self._asked.said[task]
        flag = present.flags.get(task)
        if flag is None:
            return None
        return _Said(mode=flag.mode, events_percent=percent_of(flag.events_share), shadow_percent=percent_of(flag.shadow_share))

    def _wanted(self, asked: _Asked, present: FlagSnapshot) -> Mapping[str, Flag]:
        """The flags in force, with what has changed as seen from here; at first, everything as seen from here."""
        now = self._flags(asked)
        if self._asked is None:
            return now
        before = self._flags(self._asked)
        moved = {task for task in now.keys() | before.keys() if now.get(task) != before.get(task)}
        others = {task: flag for task, flag in present.flags.items() if task not in moved}
        return {**others, **{task: now[task] for task in moved if task in now}}

    def _flags(self, asked: _Asked) -> Mapping[str, Flag]:
        named = {task: self._flag(task, said, asked.base) for task, said in asked.said.items() if said is not None}
        return {**asked.base, **named}

    def _flag(self, task: str, said: _Said, base: Mapping[str, Flag]) -> Flag:
        """What the file says of the task, with mode and shares from the provider. Raises `ValueError` for a percentage that is none."""
        rest = FlagSnapshot(version=0, flags=base).flag_for(task) or Flag(task=task)
        return replace(
            rest, task=task, mode=said.mode, events_share=share_of(said.events_percent), shadow_share=share_of(said.shadow_percent)
        )

    def _complain(self, of: str, reason: str) -> None:
        if self._complaints.get(of) != reason:
            log.error("openfeature_flag_refused", extra={"flag": of, "reason": reason})
        self._complaints[of] = reason
