"""Where flags live: in memory, in Redis, and in a file somebody edits."""

from __future__ import annotations

from gateway.flags.document import dump_flags, parse_flags
from gateway.flags.file import FlagsFile
from gateway.flags.memory import MemoryFlagStore
from gateway.flags.port import FileFlagStore
from gateway.flags.redis import RedisFlagStore

__all__ = ["FileFlagStore", "FlagsFile", "MemoryFlagStore", "RedisFlagStore", "dump_flags", "parse_flags"]
