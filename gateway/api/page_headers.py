"""What a page may do in a browser: ask this gateway for its own files, and nobody for anything else."""

from __future__ import annotations

__all__ = ["PAGE_HEADERS", "page_policy"]


def page_policy(images: str = "'self'") -> str:
    """The Content-Security-Policy of a page: no inline script or style, no other host; `images` are the sources of its pictures."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


PAGE_HEADERS = {
    "Content-Security-Policy": page_policy(),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
