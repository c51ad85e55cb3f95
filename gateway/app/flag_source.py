"""Where the flags of a process come from, and who may change them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import FlagsByFile, FlagsByOpenFeature
from gateway.core.ports import Catalogue, FlagStore
from gateway.flags.elsewhere import FlagsChangedElsewhere
from gateway.flags.file import FlagsFile
from gateway.flags.port import FileFlagStore
from gateway.flags.unasked import UnaskedSteps
from gateway.settings import FlagsMode, Settings

if TYPE_CHECKING:
    from gateway.flags.openfeature_source import OpenFeatureFlags

__all__ = ["changeable_flags", "follow_flag_source"]


def changeable_flags(settings: Settings, flags: FlagStore) -> FlagStore:
    """The flags as everybody but their source may change them."""
    match settings.flags_mode:
        case FlagsMode.STORE:
            return flags
        case FlagsMode.FILE:
            return FlagsChangedElsewhere(flags, partial(FlagsByFile, str(settings.flags_file)))
        case FlagsMode.OPENFEATURE:
            return FlagsChangedElsewhere(flags, partial(FlagsByOpenFeature, str(settings.openfeature_provider)))


async def follow_flag_source(
    stack: AsyncExitStack, settings: Settings, flags: FileFlagStore, catalogue: Catalogue, file: Path | None
) -> Mapping[str, Callable[[], Awaitable[str | None]]]:
    """Take flags from their file, or from an OpenFeature provider, until the stack is left. Gives what can be asked how a file fares."""
    source = _flag_source(settings, flags, catalogue, file)
    if source is None:
        return {}
    await source.start()
    stack.push_async_callback(source.stop)
    return {"flags file": source.probe} if isinstance(source, FlagsFile) else {}


def _flag_source(settings: Settings, flags: FileFlagStore, catalogue: Catalogue, file: Path | None) -> FlagsFile | OpenFeatureFlags | None:
    if settings.flags_mode is FlagsMode.OPENFEATURE:
        # The library is an extra of its own.
        from gateway.flags.openfeature_source import OpenFeatureFlags, load_provider

        return OpenFeatureFlags(
            load_provider(str(settings.openfeature_provider)),
            flags,
            file=file,
            tasks=catalogue.names,
            prefix=settings.openfeature_prefix,
            poll_s=settings.openfeature_poll_s,
        )
    by_file = settings.flags_mode is FlagsMode.FILE
    if file is None or not (by_file or file.exists()):
        return None
    return FlagsFile(file, flags, alone=by_file, unasked=UnaskedSteps(catalogue, grace_s=settings.worker_loss_grace_s))
