"""Beginning anew with the code as it is now: the process is replaced, its id stays."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["SourceWatch", "begin_anew", "can_begin_anew"]

log = logging.getLogger(__name__)

_CHECK_TIMEOUT_S = 60.0


def can_begin_anew() -> bool:
    """Whether the handlers can be imported as they are on disk, tried in a process of its own. Says why not. Blocks meanwhile."""
    command = [*_command(), "--check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CHECK_TIMEOUT_S, check=False)  # noqa: S603 - our own command
    except subprocess.TimeoutExpired:
        log.error("reload_refused", extra={"reason": f"importing the handlers took more than {_CHECK_TIMEOUT_S:g} s"})
        return False
    if done.returncode != 0:
        log.error("reload_refused", extra={"reason": done.stderr.strip()[-2_000:]})
    return done.returncode == 0


def begin_anew() -> None:
    """Replace this process by a new one with the same arguments. Does not return."""
    log.info("reloading")
    sys.stderr.flush()
    command = _command()
    os.execv(command[0], command)  # noqa: S606 - our own command


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]


class SourceWatch:
    """Notices when the source of an imported module changes; installed packages are left out."""

    def __init__(self) -> None:
        self._seen = _mtimes()

    def has_changed(self) -> bool:
        """Whether anything changed since the last question."""
        now = _mtimes()
        changed = any(self._seen.get(path, mtime) != mtime for path, mtime in now.items())
        self._seen = now
        return changed


def _mtimes() -> dict[str, float]:
    found: dict[str, float] = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path is None or "site-packages" in path or path.startswith((sys.base_prefix, sys.prefix)):
            continue
        try:
            found[path] = Path(path).stat().st_mtime
        except OSError:
            # Being written anew just now; the next look finds it.
            continue
    return found
