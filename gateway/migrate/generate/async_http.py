"""`requests` said in httpx: for tasks that block in nothing but HTTP calls of their own, and only when asked for."""

from __future__ import annotations

import ast

from gateway.migrate.generate.edit import Edits
from gateway.migrate.generate.own_name import OwnNames
from gateway.migrate.name import FunctionNode
from gateway.migrate.project import Place, Project
from gateway.migrate.touch import touches_of

__all__ = ["can_be_async", "helper", "make_async"]

_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
_KEYWORDS = frozenset({"params", "data", "json", "headers", "cookies", "auth", "timeout", "allow_redirects"})
_ERRORS = {
    "requests.RequestException": "httpx.HTTPError",
    "requests.HTTPError": "httpx.HTTPStatusError",
    "requests.ConnectionError": "httpx.ConnectError",
    "requests.Timeout": "httpx.TimeoutException",
}
# Of a response, what the two name differently or have in one only.
_OTHERWISE = frozenset({"ok", "iter_content", "iter_lines", "raw", "apparent_encoding", "is_redirect"})
_KINDS = frozenset({"http", "waits", "chance", "clock"})
_HELPER = '''

async def {request}(method: str, url: str, **options: {any}) -> {httpx}.Response:
    """Send as requests does: redirects are followed, and nothing ends the wait unless `timeout` is given."""
    options.setdefault("timeout", None)
    follow = options.pop("allow_redirects", method != "HEAD")
    async with {httpx}.AsyncClient() as client:
        return await client.request(method, url, follow_redirects=follow, **options)
'''


def can_be_async(node: FunctionNode, place: Place, project: Project, *, bound: bool) -> bool:
    """Whether everything the function waits for has an equivalent: verbs of `requests` with plain options, and `time.sleep`."""
    touches = touches_of(node, place, project, bound=bound)
    if isinstance(node, ast.AsyncFunctionDef) or any(touch.kind not in _KINDS or touch.deeper for touch in touches):
        return False
    inside = place.inside(node)
    for part in (inner for statement in node.body for inner in ast.walk(statement)):
        match part:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.GeneratorExp():
                return False
            case ast.Attribute(attr=name) if name in _OTHERWISE:
                return False
            case ast.Call() if (full := project.full_name(part.func, inside) or "").startswith("requests.") and not _is_plain(part, full):
                return False
            case ast.Attribute() if (full := project.full_name(part, inside) or "").startswith("requests."):
                if full not in _ERRORS and full.removeprefix("requests.") not in _VERBS:
                    return False
    return any(touch.kind == "http" for touch in touches)


def _is_plain(call: ast.Call, full: str) -> bool:
    keywords = {keyword.arg for keyword in call.keywords}
    data = [keyword.value for keyword in call.keywords if keyword.arg == "data"]
    plain = keywords <= _KEYWORDS and len(call.args) == 1 and not isinstance(call.args[0], ast.Starred)
    return full.removeprefix("requests.") in _VERBS and plain and all(isinstance(value, ast.Dict) for value in data)


def helper(own: OwnNames) -> str:
    """The function that what is awaited goes through."""
    return _HELPER.format(request=own.use("http_request"), any=own.use("Any"), httpx=own.use("httpx"))


def make_async(node: FunctionNode, inside: Place, project: Project, edits: Edits, own: OwnNames) -> None:
    """Await what waits, in place."""
    for part in (inner for statement in node.body for inner in ast.walk(statement)):
        if isinstance(part, ast.Call):
            full = project.full_name(part.func, inside) or ""
            if full == "time.sleep":
                edits.replace(part.func, f"(await {own.use('asyncio')}.sleep")
                edits.after(part, ")")
            elif full.startswith("requests."):
                edits.replace(part.func, f"(await {own.use('http_request')}")
                edits.before(part.args[0], f'"{full.removeprefix("requests.").upper()}", ')
                edits.after(part, ")")
        elif isinstance(part, ast.Attribute) and (new := _ERRORS.get(project.full_name(part, inside) or "")) is not None:
            edits.replace(part, new.replace("httpx", own.use("httpx")))
