"""Files in declared places, and objects in S3: written, moved and removed; a shadow's stay apart."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import fsspec
import pytest
from botocore.config import Config

from dualrun.contracts import Role, Side
from dualrun.effects import Execution, execution
from dualrun.errors import ShadowRefused

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Web

# The captures are put in once a process, and only where places are declared: each of these runs in a process of its own.
PROGRAM = """
import json, os, pathlib, sys
from dualrun.contracts import Role, Side
from dualrun.effects import execution, install
install()
from tests.dualrun.effects.test_files import WAYS
place = pathlib.Path(os.environ["DUALRUN_FILE_PLACES"])
found = {}
for name, way in WAYS.items():
    (place / "old.txt").write_text("old"); (place / "log.txt").write_text("one\\n")
    with execution(role=Role(sys.argv[1]), side=Side.EVENTS, submission_id="s", task="t") as run:
        way(place)
    effects = [[e.kind, e.key.replace(str(place), ""), e.payload, e.performed] for e in run.effects]
    found[name] = [effects, {p.name: p.read_text() for p in sorted(place.rglob("*")) if p.is_file()}]
    for path in sorted(place.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
print(json.dumps(found))
"""


def by_open(place: Path) -> None:
    with open(place / "new.txt", "w") as file:  # noqa: PTH123
        file.write("new")
    with open(place / "new.txt") as file:  # noqa: PTH123
        assert file.read() == "new"
    with open(place / "log.txt", "a") as file:  # noqa: PTH123
        file.write("two\n")
    os.remove(place / "old.txt")  # noqa: PTH107


def by_pathlib(place: Path) -> None:
    part = place / ".new.part"
    part.write_text("new")
    part.replace(place / "new.txt")
    with (place / "log.txt").open("a") as log:
        log.write("two\n")
    (place / "old.txt").unlink()


def by_shutil_and_fsspec(place: Path) -> None:
    source = place.parent / "source.txt"
    source.write_text("new")
    shutil.copyfile(source, place / "new.txt")
    with fsspec.open(f"file://{place}/log.txt", "a") as log:
        log.write("two\n")
    fsspec.filesystem("file").rm(f"{place}/old.txt")


WAYS: dict[str, Callable[[Path], None]] = {way.__name__: way for way in (by_open, by_pathlib, by_shutil_and_fsspec)}


@pytest.mark.e2e
@pytest.mark.parametrize("role", list(Role))
def test_the_same_files_are_the_same_effects_and_a_shadow_leaves_none(role: Role, tmp_path: Path) -> None:
    place = tmp_path / "media"
    place.mkdir()
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM, role.value],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DUALRUN_FILE_PLACES": str(place), "PYTHONPATH": os.getcwd()},  # noqa: PTH109
    )
    assert program.returncode == 0, program.stderr
    real = role is Role.AUTHORITY
    for name, (effects, left) in json.loads(program.stdout).items():
        assert effects == [
            ["file", "WRITE /new.txt", {"text": "new"}, real],
            ["file", "WRITE /log.txt", {"text": "two\n"}, real],
            ["file", "DELETE /old.txt", None, real],
        ], name
        assert left == ({"new.txt": "new", "log.txt": "one\ntwo\n"} if real else {"old.txt": "old", "log.txt": "one\n"}), name


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("x"),
        lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
        lambda path: path.with_name("old.txt").rename(path),
        lambda path: path.with_name("old.txt").unlink(),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("old.txt"),
        lambda path: os.link(path.with_name("old.txt"), path),
        lambda path: os.truncate(path.with_name("old.txt"), 0),
    ],
)
def test_a_file_nobody_declared_cannot_be_changed(
    change: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "written-by-a-shadow"
    path.with_name("old.txt").write_text("old")
    monkeypatch.setattr("dualrun.effects.guard_files._SCRATCH", "/nowhere")
    with running(Role.SHADOW), pytest.raises(ShadowRefused, match="may not change"):
        change(path)
    assert not path.exists()
    assert path.with_name("old.txt").read_text() == "old"


def test_scratch_files_are_free(tmp_path: Path) -> None:
    with running(Role.SHADOW):
        (tmp_path / "a").write_text("x")
        (tmp_path / "b").mkdir()
        shutil.rmtree(tmp_path / "b")
    assert (tmp_path / "a").read_text() == "x"


@pytest.mark.parametrize("role", list(Role))
def test_objects_in_s3_are_put_and_deleted_by_the_authority_alone(role: Role, web: Web) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=web.url,
        region_name="eu-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(request_checksum_calculation="when_required"),
    )
    with running(role) as run:
        client.put_object(Bucket="media", Key="a/b.png", Body=b"\x89PNG", ContentType="image/png")
        client.put_object(Bucket="media", Key="a/b.png", Body=io.BytesIO(b"\x89PNG"), ContentType="image/png")
        client.delete_object(Bucket="media", Key="a/b.png")
    content = {"sha256": "0f4636c78f65d3639ece5a064b5ae753e3408614a14fb18ab4d7540d2c248543", "bytes": 4}
    assert [(effect.kind, effect.key) for effect in run.effects] == [
        ("object", "PUT s3://media/a/b.png"),
        ("object", "PUT s3://media/a/b.png"),
        ("object", "DELETE s3://media/a/b.png"),
    ]
    assert run.effects[0] == run.effects[1]
    assert run.effects[0].payload == {"ContentType": "image/png", "Body": content}
    assert [hit.method for hit in web.hits] == (["PUT", "PUT", "DELETE"] if role is Role.AUTHORITY else [])


def running(role: Role) -> Execution:
    return execution(role=role, side=Side.EVENTS, submission_id="s", task="t")
