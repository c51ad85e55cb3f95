"""The site of the documentation: its generated pages say all that the code has, and it asks no other host for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.api.application import openapi_document
from gateway.cli.main import app
from tests.support.processes import REPOSITORY
from tools.site.cli_page import cli_page, command_paths
from tools.site.http_page import http_page, operations
from tools.site.link import within_site


def test_the_reference_of_the_command_line_has_every_command_with_its_options() -> None:
    text = cli_page()
    headings = re.findall(r"^## (dualrun.*)$", text, re.MULTILINE)
    assert headings == [" ".join(("dualrun", *path)) for path in command_paths(app)]
    assert "--shadow-percent" in text
    assert max(len(line) for line in re.sub(r"^[^`]*?```text", "", text).splitlines()) <= 80 + len("## dualrun ")


def test_the_reference_of_the_api_has_every_route_and_every_shape_it_names() -> None:
    text = http_page()
    document = openapi_document()
    headings = re.findall(r"^## ([A-Z]+ /.*)$", text, re.MULTILINE)
    assert headings == [f"{method.upper()} {path}" for path, method, _ in operations(document)]
    shapes = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert shapes == sorted(document["components"]["schemas"])


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[a](../ARCHITECTURE.md#words)", "[a](architecture.md#words)"),
        ("[a](safety.md)", "[a](safety.md)"),
        ("![a](images/report.png)", "![a](images/report.png)"),
        ("[`config/flags.yaml`](../config/flags.yaml)", "`config/flags.yaml`"),
        ("[numbers](../benchmarks/results/submit.json)", "numbers (`benchmarks/results/submit.json`)"),
        ("[why](adr)", "[why](decisions.md)"),
        ("[out](https://example.org/a.md)", "[out](https://example.org/a.md)"),
        ("[here](#below)", "[here](#below)"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(link: str, becomes: str) -> None:
    assert within_site(link, "docs/operate.md", "operate.md") == becomes


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stderr
    loaded = {
        (page.name, address)
        for page in site.rglob("*.html")
        for address in re.findall(r"<(?:script|img|link|iframe)[^>]*?(?:src|href)=\"(https?://[^\"]+)", page.read_text(encoding="utf-8"))
    }
    assert loaded == set()
    assert (site / "reference" / "http.html").exists()
