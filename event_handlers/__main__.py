"""`python -m event_handlers`: event workers as processes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from dualrun.errors import ConfigurationError
from dualrun.log_line import LogLine, log_to_stderr
from dualrun.settings import WorkerSettings
from event_handlers.log_line import RunLine
from event_handlers.options import parser
from event_handlers.registry import HandlerRegistry, collect_handlers
from event_handlers.renewal import begin_anew
from event_handlers.serving import Ending, import_for, run_worker
from event_handlers.supervisor import EXIT_CONFIGURATION, Supervisor
from event_handlers.threads import handler_threads

__all__ = ["main"]

log = logging.getLogger("event_handlers")


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Run workers until SIGTERM or SIGINT; 0 after a clean end, 2 for a configuration that cannot work."""
    try:
        settings = WorkerSettings.from_env(env)
        options = parser(env, settings).parse_args(arguments)
    except ConfigurationError as exc:
        print(f"event_handlers: {exc}", file=sys.stderr)  # noqa: T201 - before any logging is set up
        return EXIT_CONFIGURATION
    log_to_stderr(options.log_level.upper(), RunLine() if options.log_format == "json" else LogLine())
    try:
        registry = collect_handlers(options.handlers)
        if options.check:
            print("\n".join(registry.tasks))  # noqa: T201 - what was asked for
            return 0
        ending, code = _run(options, registry, settings)
    except ConfigurationError as exc:
        log.critical("configuration_unusable", extra={"error": str(exc)})
        return EXIT_CONFIGURATION
    if ending is Ending.RELOAD:
        begin_anew()
    if handler_threads.busy:
        # The interpreter would wait for them, however long they take, and their events went back to the queue.
        log.warning("threads_left", extra={"count": handler_threads.busy})
        logging.shutdown()
        os._exit(code)
    return code


def _run(options: argparse.Namespace, registry: HandlerRegistry, settings: WorkerSettings) -> tuple[Ending, int]:
    if options.processes == 1 and not options.reload:
        return run_worker(options, registry, settings), 0

    def work(report_to: int) -> int:
        try:
            run_worker(options, registry, settings, report_to)
        except ConfigurationError as exc:
            log.critical("configuration_unusable", extra={"error": str(exc)})
            return EXIT_CONFIGURATION
        return 0

    import_for(settings)
    return Supervisor(
        work,
        service=options.service,
        processes=options.processes,
        drain_s=options.drain_s,
        address=None if options.metrics_port is None else (options.metrics_host, options.metrics_port),
        watch_sources=options.reload,
    ).run()


if __name__ == "__main__":
    sys.exit(main())
