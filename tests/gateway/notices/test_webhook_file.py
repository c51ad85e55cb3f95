"""The webhooks file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualrun.errors import ConfigurationError
from gateway.core.notice import NoticeType
from gateway.notices import load_webhooks

SECRET = "a-secret-of-enough-bytes"
ENTRY = "{name: chat, url: 'https://hooks.example/x', secret_env: CHAT_SECRET}"


def load(tmp_path: Path, text: str, secret: str = SECRET) -> tuple[object, ...]:
    file = tmp_path / "webhooks.yaml"
    file.write_text(text, encoding="utf-8")
    return load_webhooks(file, {"CHAT_SECRET": secret})


def document(entry: str) -> str:
    return f"version: 1\nwebhooks:\n  - {entry}\n"


def test_a_webhook_gets_every_type_unless_it_names_some(tmp_path: Path) -> None:
    file = tmp_path / "webhooks.yaml"
    file.write_text(document(ENTRY) + f"  - {ENTRY.replace('chat', 'gate')[:-1]}, events: [gate.verdict]}}\n", encoding="utf-8")
    chat, gate = load_webhooks(file, {"CHAT_SECRET": SECRET})
    assert (chat.name, str(chat.url), chat.secret, chat.events) == (
        "chat",
        "https://hooks.example/x",
        SECRET.encode(),
        frozenset(NoticeType),
    )
    assert gate.events == {NoticeType.GATE_VERDICT}
    assert SECRET not in repr(chat)


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert load_webhooks(tmp_path / "none.yaml", {}) == load_webhooks(None, {}) == ()


@pytest.mark.parametrize(
    ("text", "secret", "said"),
    [
        ("version: 1\n", SECRET, "'webhooks' is missing"),
        (document(ENTRY.replace("https", "ftp")), SECRET, "3:23: should be https://"),
        (document(ENTRY), "", "CHAT_SECRET is not set"),
        (document(ENTRY), "short", "shorter than 16 bytes"),
        (document(ENTRY), "whsec_###", "base64"),
        (document(ENTRY.replace("chat", "c h")), SECRET, "letters, digits"),
        (document(f"{ENTRY[:-1]}, events: [flag.versions]}}"), SECRET, "should be one of flag.version, gate.verdict"),
        (document(ENTRY) + f"  - {ENTRY}\n", SECRET, "4:5: another webhook is called 'chat'"),
    ],
)
def test_a_mistake_stops_the_start_and_names_its_line(tmp_path: Path, text: str, secret: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, secret)
    assert said in str(caught.value)
