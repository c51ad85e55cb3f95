"""Suggested rules, as they are written into a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli.client import GatewayClient
from gateway.cli.main import app
from gateway.rules import load_rules

NOISY = {
    "fingerprint": "0123456789abcdef",
    "path": "/value/at",
    "count": 98,
    "ignored_by": None,
    "noise": {"suggest": "ignore", "says": "Noise: differs in 98.0 % of 100 legacy-against-legacy runs: ignore?"},
}
SHUFFLED = {
    "fingerprint": "2" * 16,
    "path": "/value/tags",
    "count": 60,
    "ignored_by": None,
    "noise": {"suggest": "unordered", "says": "Noise: differs in 60.0 % of 100 legacy-against-legacy runs: unordered?"},
}
HIDDEN = {"fingerprint": "1" * 16, "path": "/value/total", "count": 7, "ignored_by": "totals", "noise": None}
OWN = "# what may differ\nignore:\n  - id: totals\n    path: /value/total\n    owner: ann\n    reason: rounding\nerrors:\n  A: B\n"


@pytest.fixture(autouse=True)
def report(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(self: GatewayClient, method: str, path: str, **_: object) -> httpx.Response:
        return httpx.Response(200, json={"tasks": [{"task": "shop.charge", "groups": [NOISY, SHUFFLED, HIDDEN]}]})

    monkeypatch.setattr(GatewayClient, "call", call)


def test_a_suggestion_changes_nothing_until_a_person_accepts_it(tmp_path: Path) -> None:
    file = tmp_path / "shop.charge.yaml"
    file.write_text(OWN)
    asked = ["rules", "suggest", "--owner", "ann", "--rules", str(tmp_path)]
    shown = CliRunner().invoke(app, asked)
    assert "/value/at" in shown.output
    assert file.read_text() == OWN
    for _ in range(2):
        assert CliRunner().invoke(app, [*asked, "--accept"]).exit_code == 0
    rules = load_rules(tmp_path).for_task("shop.charge")
    assert [(rule.id, rule.path, rule.owner) for rule in rules.ignore] == [
        ("noise-0123456789abcdef", "/value/at", "ann"),
        ("totals", "/value/total", "ann"),
    ]
    assert [(rule.path, rule.reason.endswith("was made")) for rule in rules.unordered] == [("/value/tags", True)]
    (noise, _) = rules.ignore
    assert noise.expires is not None
    assert 89 <= (noise.expires - datetime.now(UTC).date()).days <= 90
    assert "seen in 98 submissions" in noise.reason
    assert ({rule.legacy: rule.events for rule in rules.errors}, file.read_text().startswith("# what may differ\n")) == ({"A": "B"}, True)


def test_each_rule_says_what_it_hid(tmp_path: Path) -> None:
    (tmp_path / "shop.charge.yaml").write_text(OWN)
    listed = CliRunner().invoke(app, ["rules", "list", "--rules", str(tmp_path), "--format", "json"])
    assert '"hid": 7' in listed.output
    assert '"owner": "ann"' in listed.output
    assert '"owner": "nobody"' in listed.output, "a table of errors without an owner is listed, too"
