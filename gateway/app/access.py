"""Whether a gateway may listen as it is configured, and who knows its callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualrun.errors import ConfigurationError
from gateway.access import Authenticator
from gateway.app.process import utc_now
from gateway.core.access import Permission
from gateway.core.ports import AccessStore
from gateway.settings import LOOPBACK, AccessMode, Settings

if TYPE_CHECKING:
    from gateway.access.oidc import OidcProvider

__all__ = ["authenticator_of", "check_access", "oidc_of"]

_NO_ADMIN = (
    "access control is on{why}, and nobody could create the first access token. Set DUALRUN_ADMIN_TOKEN (or DUALRUN_ADMIN_TOKEN_FILE) to "
    "a secret of your own: openssl rand -hex 32"
)
_OPEN_TO_OTHERS = (
    "will not listen on {host} without access control: everybody who reaches it could move tasks and read what they hold. Leave out "
    "DUALRUN_ACCESS=off and set DUALRUN_ADMIN_TOKEN (openssl rand -hex 32), or listen on 127.0.0.1"
)


def check_access(settings: Settings) -> None:
    """Raises `ConfigurationError` for a gateway that must not start, saying what to do."""
    if settings.access is AccessMode.OFF and settings.listen_host is not None and settings.listen_host not in LOOPBACK:
        raise ConfigurationError(_OPEN_TO_OTHERS.format(host=settings.listen_host))
    if settings.access_required and settings.admin_secret is None:
        why = "" if settings.access is AccessMode.REQUIRED else f", as for every address but loopback ({settings.listen_host or 'unknown'})"
        raise ConfigurationError(_NO_ADMIN.format(why=why))


def authenticator_of(settings: Settings, store: AccessStore) -> Authenticator | None:
    """Knows callers; None where access control is off."""
    if not settings.access_required:
        return None
    fixed = {Permission.ADMIN: settings.admin_secret, Permission.SUBMIT: settings.submit_secret}
    return Authenticator(store, fixed=fixed, session_s=settings.session_s, now=utc_now)


def oidc_of(settings: Settings) -> OidcProvider | None:
    """The identity provider people may log in with. Raises `ConfigurationError` where the extra is not installed."""
    if settings.oidc_issuer is None or settings.public_url is None or not settings.access_required:
        return None
    try:
        # The library is an extra of its own.
        from gateway.access.oidc import OidcProvider, OidcSettings
    except ImportError as exc:
        raise ConfigurationError("DUALRUN_OIDC_ISSUER needs the extra: pip install 'dualrun-gateway[oidc]'") from exc
    return OidcProvider(
        OidcSettings(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            redirect_url=f"{settings.public_url.rstrip('/')}/console/login/oidc/callback",
            claim=settings.oidc_claim,
            permissions=settings.oidc_permissions,
        )
    )
