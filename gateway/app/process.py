"""What a process of the gateway is known by: its clock, its ids, its name."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime

import uuid_utils

__all__ = ["gateway_name", "new_id", "utc_now"]


def utc_now() -> datetime:
    """The clock of the process."""
    return datetime.now(UTC)


def new_id() -> str:
    """A submission id: UUIDv7, so that ids sort by time."""
    return str(uuid_utils.uuid7())


def gateway_name() -> str:
    """This process, as others hear of it."""
    return f"{socket.gethostname()}:{os.getpid()}"
