"""Pages of the site that nobody writes twice: made of the code, or of the files at the repository's root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tools.site.cli_page import cli_page
from tools.site.http_page import http_page
from tools.site.link import within_site

__all__ = ["generated_pages"]

_ROOT_PAGES = {"architecture.md": "ARCHITECTURE.md", "changes.md": "CHANGELOG.md", "roadmap.md": "ROADMAP.md"}


def generated_pages(root: Path) -> Mapping[str, str]:
    """Each page's text by its path in docs/."""
    pages = {uri: within_site((root / name).read_text(encoding="utf-8"), name, uri) for uri, name in _ROOT_PAGES.items()}
    pages["get-started.md"] = _get_started((root / "README.md").read_text(encoding="utf-8"))
    pages["decisions.md"] = _decisions(root / "docs" / "adr")
    pages["reference/cli.md"] = cli_page()
    pages["reference/http.md"] = http_page()
    pages["reference/settings.md"] = _settings((root / "config" / ".env.example").read_text(encoding="utf-8"))
    return pages


def _get_started(readme: str) -> str:
    """The chapters of the README that a stranger pastes from."""
    chapters = re.split(r"^## ", readme, flags=re.MULTILINE)
    begin = [f"## {chapter}" for chapter in chapters if chapter.startswith(("Two commands", "A first migration"))]
    return "# Get started\n\n" + within_site("".join(begin), "README.md", "get-started.md")


def _decisions(folder: Path) -> str:
    titles = {path.name: path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for path in sorted(folder.glob("*.md"))}
    rows = [f"- [{title}](adr/{name})" for name, title in titles.items()]
    return "# Decisions\n\nWhy it is as it is, and what was rejected.\n\n" + "\n".join(rows) + "\n"


def _settings(example: str) -> str:
    return f"# Settings\n\nEvery environment variable with its default, as in `config/.env.example`.\n\n```bash\n{example.rstrip()}\n```\n"
