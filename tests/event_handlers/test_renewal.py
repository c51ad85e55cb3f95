"""Noticing that source changed."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from event_handlers.renewal import SourceWatch


def test_a_change_of_an_imported_module_is_noticed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "watched_handlers.py"
    source.write_text("ANSWER = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("watched_handlers")
    try:
        watch = SourceWatch()
        assert not watch.has_changed()
        os.utime(source, (1, 1))
        assert watch.has_changed()
        assert not watch.has_changed()
        source.unlink()
        assert not watch.has_changed(), "a file that is just being written anew is no change yet"
    finally:
        del sys.modules["watched_handlers"]


def test_installed_packages_are_not_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages"
    package.mkdir()
    (package / "installed_thing.py").write_text("ANSWER = 1\n")
    monkeypatch.syspath_prepend(str(package))
    importlib.import_module("installed_thing")
    try:
        watch = SourceWatch()
        os.utime(package / "installed_thing.py", (1, 1))
        assert not watch.has_changed()
    finally:
        del sys.modules["installed_thing"]
