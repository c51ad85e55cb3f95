"""Chromium for the tests of the console: named, installed, or from Debian's packages."""

from __future__ import annotations

import os
import shutil

from tools.services.debian import install_package
from tools.services.found import Found, NotFound

__all__ = ["CHROMIUM_VARIABLE", "find_browser"]

CHROMIUM_VARIABLE = "DUALRUN_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PACKAGE = "chromium"


def find_browser(*, install: bool) -> Found | NotFound:
    """The path of a Chromium; with `install`, from Debian's packages where there is none. The package stays."""
    path = os.environ.get(CHROMIUM_VARIABLE) or _installed()
    if path is not None:
        return Found({CHROMIUM_VARIABLE: path}, path)
    if not install:
        return NotFound(f"none of {', '.join(_NAMES)} is on the PATH")
    print(f"Chromium: installing the package {_PACKAGE}", flush=True)
    failed = install_package(_PACKAGE)
    path = _installed()
    if failed is not None or path is None:
        return failed or NotFound(f"the package {_PACKAGE} brought none of {', '.join(_NAMES)}")
    return Found({CHROMIUM_VARIABLE: path}, path)


def _installed() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)
