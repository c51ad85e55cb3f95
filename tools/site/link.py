"""Links of the repository's documents, as links of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

__all__ = ["ELSEWHERE", "within_site"]

ELSEWHERE: Mapping[str, str] = {
    "README.md": "get-started.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changes.md",
    "ROADMAP.md": "roadmap.md",
    "config/.env.example": "reference/settings.md",
    "docs/adr": "decisions.md",
}
"""Documents outside of docs/ that have a page of the site, under another name."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#|<)([^)\s#]+)(#[^)\s]*)?\)")


def within_site(markdown: str, document: str, page: str) -> str:
    """The text of a document of the repository with its links as `page` needs them; both are paths, from the root and from docs/."""

    def replaced(link: re.Match[str]) -> str:
        picture, text, target, anchor = link[1], link[2], link[3], link[4] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(document), target))
        uri = ELSEWHERE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if uri is not None:
            return f"{picture}[{text}]({posixpath.relpath(uri, posixpath.dirname(page) or '.')}{anchor})"
        return text if text.strip("`") == path else f"{text} (`{path}`)"

    return _LINK.sub(replaced, markdown)
