"""Running the generator again: what a person changed stays."""

from __future__ import annotations

from pathlib import Path

from gateway.migrate.generate.writing import MANIFEST, write_files


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    assert write_files(tmp_path, {"a.py": "1\n"}).written == ["a.py"]
    assert write_files(tmp_path, {"a.py": "1\n"}).unchanged == ["a.py"]


def test_a_file_nobody_touched_follows_the_source(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "1\n"})
    assert write_files(tmp_path, {"a.py": "2\n"}).written == ["a.py"]
    assert (tmp_path / "a.py").read_text() == "2\n"


def test_a_changed_file_is_kept_while_nothing_new_is_generated(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "1\n"})
    (tmp_path / "a.py").write_text("mine\n")
    assert write_files(tmp_path, {"a.py": "1\n"}).kept == ["a.py"]
    assert (tmp_path / "a.py").read_text() == "mine\n"


def test_a_changed_file_is_refused_with_the_difference_until_it_is_merged(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "1\n"})
    (tmp_path / "a.py").write_text("mine\n")
    for _ in range(2):
        refused = write_files(tmp_path, {"a.py": "2\n"}).refused
        assert "-mine" in refused["a.py"]
        assert "+2" in refused["a.py"]
    assert (tmp_path / "a.py").read_text() == "mine\n"
    (tmp_path / "a.py").write_text("2\n")
    assert write_files(tmp_path, {"a.py": "2\n"}).unchanged == ["a.py"]


def test_a_file_that_was_there_before_is_nobodys_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("mine\n")
    assert list(write_files(tmp_path, {"a.py": "1\n"}).refused) == ["a.py"]
    (tmp_path / MANIFEST).write_text("broken")
    assert list(write_files(tmp_path, {"a.py": "1\n"}).refused) == ["a.py"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert write_files(tmp_path / "new", {"a/b.py": "1\n"}, dry_run=True).written == ["a/b.py"]
    assert not (tmp_path / "new").exists()
