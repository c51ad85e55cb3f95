"""A small OpenID Connect provider behind a real port: discovery, authorization code with PKCE, signed tokens, keys."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.embedded.server import listen

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "OidcStub", "running_provider"]

CLIENT_ID = "dualrun"
CLIENT_SECRET = "kept between the two"


@dataclass(slots=True)
class OidcStub:
    """Who is logged in there, and what goes wrong."""

    issuer: str
    claims: dict[str, object] = field(default_factory=lambda: {"sub": "1", "email": "ann@example.org", "groups": ["sre"]})
    changes: dict[str, object] = field(default_factory=dict)
    """Members of the signed token that are other than they should be."""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signs_with: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def discovery(self, _: Request) -> Response:
        paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return JSONResponse({"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in paths.items()}})

    def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT_ID, "code", "S256")
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        expected = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if asked is None or request.headers.get("authorization") != expected or challenge != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        own = {"iss": self.issuer, "aud": CLIENT_ID, "nonce": asked["nonce"], "iat": now, "exp": now + 60}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, {**own, **self.claims, **self.changes}, self.signs_with or self.key)
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": signed})

    def keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})


@contextmanager
def running_provider() -> Iterator[OidcStub]:
    """The provider while the block runs."""
    with listen("127.0.0.1", 0) as listener:
        stub = OidcStub(issuer=f"http://127.0.0.1:{listener.getsockname()[1]}")
        routes = [
            Route("/.well-known/openid-configuration", stub.discovery),
            Route("/authorize", stub.authorize),
            Route("/token", stub.token, methods=["POST"]),
            Route("/keys", stub.keys),
        ]
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="oidc-provider")
        thread.start()
        yield stub
        server.should_exit = True
        thread.join()
