"""A real Celery worker on Celery's memory transport, in a thread of this process."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

from celery import Celery

from dualrun.contracts import Outcome

__all__ = ["EmbeddedCelery", "load_celery_app"]

_ONE_AT_A_TIME = Lock()
_POLLING_INTERVAL_S = 0.005


def load_celery_app(path: str) -> Celery:
    """The app a path such as `proj.celery:app` names; `:app` may be left out."""
    module_name, _, attribute = path.partition(":")
    app = getattr(importlib.import_module(module_name), attribute or "app")
    if not isinstance(app, Celery):
        raise TypeError(f"{path} is a {type(app).__name__}, not a Celery application")
    return app


class EmbeddedCelery:
    """One Celery app with its worker; outcomes of submissions go to `sender`, from worker threads."""

    def __init__(self, path: str, sender: Callable[[Sequence[Outcome]], None], *, concurrency: int = 4) -> None:
        self._path = path
        self._sender = sender
        self._concurrency = concurrency
        self.app = load_celery_app(path)

    @contextmanager
    def running(self) -> Iterator[Celery]:
        """The app while its worker runs; on leaving, tasks under way are finished."""
        from celery.contrib.testing.worker import start_worker
        from celery.worker import state

        from legacy_celery import capture

        with _ONE_AT_A_TIME:
            self.app.conf.update(
                broker_url="memory://",
                broker_transport_options={"polling_interval": _POLLING_INTERVAL_S},
                # The memory transport is read by one thread: what it has fetched is what it can work on.
                worker_prefetch_multiplier=max(2, self._concurrency),
                worker_hijack_root_logger=False,
            )
            self.app.loader.import_default_modules()
            uninstall = capture.install(self.app, sender=self._sender)
            try:
                with start_worker(
                    self.app,
                    pool="threads",
                    concurrency=self._concurrency,
                    perform_ping_check=False,
                    loglevel="WARNING",
                    shutdown_timeout=30.0,
                ):
                    try:
                        yield self.app
                    finally:
                        # Warm: what runs is finished. Left to itself `start_worker` stops cold.
                        state.should_stop = 0
                        _join_worker_thread(30.0)
            finally:
                state.should_stop = None
                uninstall()

    async def waiting(self) -> int:
        """Messages in the app's queues that no thread has fetched."""
        return await asyncio.to_thread(self._waiting)

    def _waiting(self) -> int:
        with self.app.connection_for_read() as connection:
            channel = connection.default_channel
            return sum(channel._size(queue) for queue in self.app.amqp.queues)  # noqa: SLF001 - virtual transports count queues so


def _join_worker_thread(timeout_s: float) -> None:
    import threading

    for thread in threading.enumerate():
        if getattr(getattr(thread, "_target", None), "__name__", "") == "start" and thread.daemon:
            thread.join(timeout_s)
