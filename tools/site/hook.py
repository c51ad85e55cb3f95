"""What MkDocs calls while it builds: pages made of the code and of the files at the root, and links that stay within the site."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
# MkDocs loads a hook by its path, without the folder it belongs to.
sys.path.insert(0, str(ROOT))

from tools.site.link import within_site  # noqa: E402
from tools.site.page import generated_pages  # noqa: E402

__all__ = ["on_files", "on_page_markdown"]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not written by hand."""
    for uri, text in generated_pages(ROOT).items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links lead to pages of the site; what is not on it is named by its path."""
    return markdown if page.file.generated_by else within_site(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)
