"""Which controls a page shows its reader: those the guard would let through, by the guard's own table."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request

from gateway.api.caller import ANYBODY
from gateway.api.route_access import Access, RouteTable
from gateway.api.services import Services
from gateway.core.access import Identity

__all__ = ["Controls", "controls_of"]

_MOUNTED_AT = "/console"


@dataclass(frozen=True, slots=True)
class Controls:
    """What one reader may use. Paths are as a page writes them: quoted, below the console's root."""

    routes: RouteTable
    reader: Identity | None
    """None is a stranger."""

    def may(self, path: str, method: str = "POST") -> bool:
        """Whether the guard would let the reader's request through. Raises `LookupError` where nothing is served there."""
        access, target = self._find(path, method)
        return access.refusal(target, self.reader) is None

    def needed(self, path: str, method: str = "POST") -> str:
        """The permission a path asks for, in words; empty where anybody may. Raises `LookupError`."""
        return self._find(path, method)[0].needed

    def _find(self, path: str, method: str) -> tuple[Access, str]:
        # The guard sees a path as servers give it: without its quoting.
        access, target = self.routes.find(method, _MOUNTED_AT + unquote(path))
        if access is None:
            raise LookupError(f"a page offers {method} {path}, and nothing is served there")
        return access, target


def controls_of(request: Request, services: Services) -> Controls:
    """The controls of whoever sends a request."""
    routes = request.app.state.routes
    assert isinstance(routes, RouteTable)
    # The guard names everybody it knows; where it asks nobody, everybody may everything.
    return Controls(routes, request.scope.get("caller", ANYBODY if services.authenticator is None else None))
