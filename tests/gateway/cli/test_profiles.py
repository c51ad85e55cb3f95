"""Which gateway a command speaks to, and as whom."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli.client import GatewayClient
from gateway.cli.exit_code import ExitCode
from gateway.cli.main import app
from gateway.cli.profile import DEFAULT_URL, choose
from gateway.cli.refusal import Refused, refusal_of

FILE = """
default = "staging"
[profiles.staging]
url = "https://staging.example.org"
[profiles.production]
url = "https://dualrun.example.org"
token_file = "{token}"
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    token = tmp_path / "production.token"
    token.write_text("s3cret\n")
    token.chmod(0o600)
    (tmp_path / "config.toml").write_text(FILE.format(token=token))
    return {"DUALRUN_CONFIG": str(tmp_path / "config.toml")}


def test_without_anything_it_is_the_gateway_on_this_machine(tmp_path: Path) -> None:
    assert choose(None, None, {"DUALRUN_CONFIG": str(tmp_path / "none.toml")}).url == DEFAULT_URL


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(env: dict[str, str]) -> None:
    assert choose(None, None, env).url == "https://staging.example.org"
    assert choose(None, None, {**env, "DUALRUN_PROFILE": "production"}).url == "https://dualrun.example.org"
    assert choose(None, "staging", {**env, "DUALRUN_PROFILE": "production"}).url == "https://staging.example.org"
    assert choose("http://10.0.0.1", None, {**env, "DUALRUN_PROFILE": "production"}).url == "http://10.0.0.1"
    assert choose(None, "production", {**env, "DUALRUN_GATEWAY_URL": "http://10.0.0.1"}).url == "https://dualrun.example.org"


def test_a_profiles_token_is_shown_to_its_gateway_alone(env: dict[str, str]) -> None:
    assert choose(None, "production", env).token == "s3cret"
    assert choose(None, "staging", env).token is None
    assert choose("https://elsewhere.example.org", None, env).token is None
    assert choose(None, "production", {**env, "DUALRUN_TOKEN": "mine"}).token == "mine"
    assert "s3cret" not in repr(choose(None, "production", env))


def test_a_token_that_others_can_read_is_not_used(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "production.token").chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        choose(None, "production", env)
    config = tmp_path / "config.toml"
    config.write_text('[profiles.one]\nurl = "https://one.example.org"\ntoken = "s3cret"\n')
    config.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        choose(None, "one", env)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[profiles.one", "no TOML"),
        ("[profiles.one]\n", "profiles.one.url"),
        ('[profiles.one]\nurl = "ftp://x"\n', "profiles.one.url"),
        ('[profiles.one]\nurl = "https://x"\npassword = "p"\n', "profiles.one.password"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(Refused, match=said):
        choose(None, "one", {"DUALRUN_CONFIG": str(file)})


def test_two_that_name_a_gateway_are_refused_and_an_unknown_one_lists_those_there_are(env: dict[str, str]) -> None:
    with pytest.raises(Refused, match="give one"):
        choose("http://10.0.0.1", "staging", env)
    with pytest.raises(Refused, match="unset one"):
        choose(None, None, {**env, "DUALRUN_GATEWAY_URL": "http://10.0.0.1", "DUALRUN_PROFILE": "staging"})
    with pytest.raises(Refused, match="production, staging"):
        choose(None, "stagin", env)
    with pytest.raises(Refused, match="looks like"):
        choose("127.0.0.1:8080", None, env)


def test_no_command_takes_a_token_on_its_command_line(env: dict[str, str]) -> None:
    ended = CliRunner().invoke(app, ["flags", "list", "--token", "s3cret"], env=env)
    assert ended.exit_code == ExitCode.WRONG
    shown = CliRunner().invoke(app, ["profiles", "--format", "json"], env=env)
    assert "staging" in shown.stdout
    assert "s3cret" not in shown.stdout


def test_the_token_goes_with_every_request(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def request(_: httpx.Client, method: str, path: str, **sent: object) -> httpx.Response:
        headers = sent["headers"]
        assert isinstance(headers, dict)
        seen.append(headers.get("Authorization"))
        return httpx.Response(200, json={}, request=httpx.Request(method, f"https://dualrun.example.org{path}"))

    monkeypatch.setattr(httpx.Client, "request", request)
    chosen = choose(None, "production", env)
    GatewayClient(chosen.url, chosen.token).read("/v1/flags")
    GatewayClient(DEFAULT_URL).read("/v1/flags")
    assert seen == ["Bearer s3cret", None]


@pytest.mark.parametrize(
    ("status", "code", "headers", "exit_code", "advice"),
    [
        (401, "no_token", {}, ExitCode.NOT_ALLOWED, "DUALRUN_TOKEN"),
        (403, "forbidden", {}, ExitCode.NOT_ALLOWED, "permissions"),
        (429, "too_many_requests", {"Retry-After": "7"}, ExitCode.AWAY, "in 7 s"),
        (503, "store_unavailable", {"Retry-After": "2"}, ExitCode.AWAY, "dualrun doctor"),
        (409, "flag_conflict", {}, ExitCode.WRONG, "flags history"),
        (404, "not_found", {}, ExitCode.WRONG, "Nothing here"),
    ],
)
def test_a_refusal_says_what_to_do_next(status: int, code: str, headers: dict[str, str], exit_code: ExitCode, advice: str) -> None:
    problem = {"title": "No", "code": code, "detail": "Nothing here", "errors": [{"pointer": "/a", "detail": "is b"}]}
    refused = refusal_of(httpx.Response(status, json=problem, headers=headers))
    assert refused.exit_code == exit_code
    assert advice in str(refused)
    assert "/a: is b" in str(refused)
