"""Where the flags of a process come from."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from gateway.app import follow_flag_source
from gateway.catalogue.memory import MemoryCatalogue
from gateway.core.installation import part_finding
from gateway.core.readiness import Level
from gateway.flags import MemoryFlagStore
from gateway.settings import AccessMode, Settings


async def test_a_flags_file_with_a_mistake_is_a_part_in_trouble_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "flags.yaml"
    path.write_text("version: 1\nflags:\n  learning.add: {mode: evnts}\n")
    async with AsyncExitStack() as stack:
        settings = Settings(access=AccessMode.OFF)
        probes = await follow_flag_source(stack, settings, MemoryFlagStore(), MemoryCatalogue(), path)
        finding = part_finding("flags file", await probes["flags file"]())
        assert finding.level is Level.BLOCKED
        assert f"{path}:3:24" in finding.seen
    path.write_text("version: 1\nflags: {}\n")
    async with AsyncExitStack() as stack:
        probes = await follow_flag_source(stack, settings, MemoryFlagStore(), MemoryCatalogue(), path)
        assert await probes["flags file"]() is None


async def test_without_a_file_there_is_nothing_to_ask(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        settings = Settings(access=AccessMode.OFF)
        assert await follow_flag_source(stack, settings, MemoryFlagStore(), MemoryCatalogue(), tmp_path / "none.yaml") == {}
