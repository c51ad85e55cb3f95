"""An environment file made from its example."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tools.env_file import fill, write

EXAMPLE = "# why\nRABBITMQ_PASSWORD=\nPOSTGRES_PASSWORD=\nKEPT_PASSWORD=mine\nDUALRUN_SERVICE=shop\n"


def test_every_empty_password_gets_one_of_its_own() -> None:
    comment, rabbitmq, postgres, *rest = fill(EXAMPLE).splitlines()
    assert (comment, rest) == ("# why", ["KEPT_PASSWORD=mine", "DUALRUN_SERVICE=shop"])
    assert len(rabbitmq.removeprefix("RABBITMQ_PASSWORD=")) == 32
    assert len(postgres.removeprefix("POSTGRES_PASSWORD=")) == 32
    assert rabbitmq.partition("=")[2] != postgres.partition("=")[2]


def test_passwords_in_use_are_never_replaced(tmp_path: Path) -> None:
    example, target = tmp_path / "example", tmp_path / "env"
    example.write_text(EXAMPLE)
    write(example, target)
    first = target.read_text()
    with pytest.raises(FileExistsError):
        write(example, target)
    assert target.read_text() == first
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
