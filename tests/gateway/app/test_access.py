"""A gateway does not listen where nobody would be asked who they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dualrun.errors import ConfigurationError
from gateway.app.access import check_access
from gateway.settings import AccessMode, Settings

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_nobody_has_to_say_who_they_are(host: str) -> None:
    settings = Settings(listen_host=host)
    check_access(settings)
    assert not settings.access_required


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "gateway.example.org", None])
def test_anywhere_else_everybody_has_to_and_somebody_can(host: str | None) -> None:
    assert Settings(listen_host=host).access_required
    with pytest.raises(ConfigurationError, match="openssl rand -hex 32"):
        check_access(Settings(listen_host=host))
    check_access(Settings.model_validate({"listen_host": host, "admin_token": SECRET}))


def test_access_control_cannot_be_switched_off_there() -> None:
    with pytest.raises(ConfigurationError, match=r"will not listen on 0\.0\.0\.0"):
        check_access(Settings.model_validate({"listen_host": "0.0.0.0", "access": AccessMode.OFF, "admin_token": SECRET}))


def test_a_token_comes_from_a_file_where_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = Settings(admin_token_file=file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_access(settings)
    file.write_text("too short")
    with pytest.raises(ConfigurationError, match="32 characters"):
        check_access(settings)
    file.write_text(f"{SECRET}\n")
    check_access(settings)
    assert settings.admin_secret == SECRET


def test_the_command_says_what_to_do_and_never_the_secret() -> None:
    for environment, said in (({}, "DUALRUN_ADMIN_TOKEN"), ({"DUALRUN_ADMIN_TOKEN": "hunter2"}, "should have 32 characters")):
        ended = subprocess.run(
            [sys.executable, "-m", "gateway.cli.main", "gateway", "--host", "0.0.0.0", "--port", "1"],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin", **environment},
            cwd=Path(__file__).parents[3],
        )
        assert ended.returncode == 2
        assert said in ended.stderr
        assert "hunter2" not in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
