"""A real Celery worker on Celery's memory transport, in a thread of this process."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from celery import Celery

from dualrun.broker import Message
from dualrun.contracts import Outcome
from dualrun.in_force import FlagsInForce

__all__ = ["EmbeddedCelery", "load_celery_app"]

_ONE_AT_A_TIME = threading.Lock()
_STOP_TIMEOUT_S = 30.0
_POLLING_INTERVAL_S = 0.005


def load_celery_app(path: str) -> Celery:
    """The app a path such as `proj.celery:app` names; `:app` may be left out."""
    module_name, _, attribute = path.partition(":")
    app = getattr(importlib.import_module(module_name), attribute or "app")
    if not isinstance(app, Celery):
        raise TypeError(f"{path} is a {type(app).__name__}, not a Celery application")
    return app


class EmbeddedCelery:
    """One Celery app with its worker; outcomes of submissions go to `sender`, what a flag recalls to `give_back`, from worker threads."""

    def __init__(
        self,
        path: str,
        sender: Callable[[Sequence[Outcome]], None],
        *,
        in_force: FlagsInForce,
        give_back: Callable[[Message], None],
        concurrency: int = 4,
    ) -> None:
        self._path = path
        self._sender = sender
        self._in_force = in_force
        self._give_back = give_back
        self._concurrency = concurrency
        self.app = load_celery_app(path)

    @contextmanager
    def running(self) -> Iterator[Celery]:
        """The app while its worker runs; on leaving, tasks under way are finished."""
        from legacy_celery import capture
        from legacy_celery.handing_over import HandingOver

        with _ONE_AT_A_TIME:
            self.app.conf.update(
                broker_url="memory://localhost//",
                broker_transport_options={"polling_interval": _POLLING_INTERVAL_S},
                # The memory transport is read by one thread: what it has fetched is what it can work on.
                worker_prefetch_multiplier=max(2, self._concurrency),
                worker_hijack_root_logger=False,
            )
            self.app.loader.import_default_modules()
            uninstall = capture.install(self.app, sender=self._sender, handing_over=HandingOver(self._in_force, self._give_back))
            try:
                with _worker_thread(self.app, self._concurrency):
                    yield self.app
            finally:
                uninstall()

    async def waiting(self) -> int:
        """Messages in the app's queues that no thread has fetched."""
        return await asyncio.to_thread(self._waiting)

    def _waiting(self) -> int:
        with self.app.connection_for_read() as connection:
            channel = connection.default_channel
            return sum(channel._size(queue) for queue in self.app.amqp.queues)  # noqa: SLF001 - virtual transports count queues so


@contextmanager
def _worker_thread(app: Celery, concurrency: int) -> Iterator[None]:
    """As `celery.contrib.testing.worker.start_worker`, but stopped warm: what runs is finished. That one stops cold."""
    from celery.contrib.testing.worker import TestWorkController, setup_app_for_worker
    from celery.worker import state

    setup_app_for_worker(app, loglevel="WARNING", logfile=None)
    worker = TestWorkController(
        app=app,
        pool="threads",
        concurrency=concurrency,
        hostname="embedded",
        loglevel="WARNING",
        logfile=None,
        ready_callback=None,
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )
    thread = threading.Thread(target=worker.start, name="celery-worker", daemon=True)
    thread.start()
    worker.ensure_started()
    try:
        yield
    finally:
        # The worker of a process looks at these module globals; there is no other way to stop one that runs in a thread.
        state.should_stop = 0
        thread.join(_STOP_TIMEOUT_S)
        state.should_stop = None
