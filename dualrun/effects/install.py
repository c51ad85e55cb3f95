"""Puts the captures into the libraries that are there, now or once they are imported."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
from functools import partial
from types import ModuleType

from dualrun.effects.asking import set_unknown
from dualrun.effects.capture.importing import when_imported
from dualrun.effects.guard import guard
from dualrun.effects.guard_doors import watch_os, watch_pidfd_signals, watch_spawning
from dualrun.effects.guard_sends import (
    watch_logging,
    watch_sendfile,
    watch_sockets,
    watch_streams,
    watch_tls,
    watch_transports,
    watch_transports_tls,
)
from dualrun.settings import WorkerSettings

__all__ = ["install"]

# library -> the module of dualrun.effects.capture whose `patch` knows it
CAPTURES = {
    "aio_pika": "aio_pika_exchange",
    "aiohttp": "aiohttp_session",
    "aiosqlite": "aiosqlite_connection",
    "asyncpg": "asyncpg_connection",
    "aiosmtplib": "aiosmtplib_client",
    "celery.app.base": "celery_publish",
    "celery.backends.base": "celery_backend",
    "concurrent.futures._base": "future",
    "concurrent.futures.process": "process_pool",
    "concurrent.futures.thread": "thread_pool",
    "botocore.client": "botocore_client",
    "django.db.models.base": "django_model",
    "http.client": "http_client_connection",
    "httpx": "httpx_client",
    "io": "files",
    "kombu.messaging": "kombu_producer",
    "multiprocessing.pool": "multiprocessing_pool",
    "psycopg": "psycopg_connection",
    "psycopg2": "psycopg2_connection",
    "redis": "redis_client",
    "requests": "requests_session",
    "smtplib": "smtplib_client",
    "sqlite3": "sqlite3_connection",
    "threading": "thread_start",
    "urllib.request": "urllib_opener",
    "urllib3": "urllib3_pool",
    "uvloop": "uvloop_loop",
}
_installed = False


def install() -> None:
    """Capture what a task does by the libraries of `CAPTURES`, and refuse what a shadow tries past them.

    Threads take part in the execution that starts them.

    May be called again: nothing is patched twice. Outside an execution every call passes through untouched. A library that is not
    imported yet is patched right after its import; one that is not installed costs nothing.
    """
    global _installed  # noqa: PLW0603 - the patches are as global as the libraries they are put into
    if _installed:
        return
    _installed = True
    settings = WorkerSettings.from_env()
    guard(settings.shadow_allow)
    watch_os(os)
    watch_pidfd_signals(signal)
    watch_sockets(socket)
    watch_sendfile(os)
    watch_logging(logging)
    when_imported("_posixsubprocess", watch_spawning)
    when_imported("asyncio.selector_events", watch_transports)
    when_imported("asyncio.sslproto", watch_transports_tls)
    when_imported("asyncio.streams", watch_streams)
    when_imported("ssl", watch_tls)
    set_unknown(reads=settings.shadow_unknown_reads, writes=settings.shadow_unknown_writes)
    for library, capture in CAPTURES.items():
        when_imported(library, partial(_patch, capture))


def _patch(capture: str, library: ModuleType) -> None:
    importlib.import_module(f"dualrun.effects.capture.{capture}").patch(library)
