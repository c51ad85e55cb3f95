"""The API to try out: Swagger UI from the console's own files; no other host is asked for anything.

FastAPI's page takes both from a content network, and starts them by an inline script.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.api.page_headers import PAGE_HEADERS, page_policy

__all__ = ["docs"]

_STATIC = "console/static"
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API - dualrun</title>
<link rel="icon" href="{_STATIC}/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{_STATIC}/vendor/swagger-ui-5.35.0.css">
<script src="{_STATIC}/vendor/swagger-ui-bundle-5.35.0.js" defer></script>
<script src="{_STATIC}/api_docs.js" defer></script>
</head>
<body>
<div id="swagger-ui"></div>
<noscript><p>This page needs scripts. The same is in <a href="openapi.json">openapi.json</a>.</p></noscript>
</body>
</html>
"""
# Swagger UI's style sheet holds its icons.
_HEADERS = {**PAGE_HEADERS, "Content-Security-Policy": page_policy(images="'self' data:")}


async def docs(request: Request) -> Response:
    """The page; what it shows is `/openapi.json`."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
