"""Tasks of the auth service."""

from __future__ import annotations

import requests

from legacy_celery.app import app
from legacy_celery.shop import TIMEOUT_S, send_mail, shop_url

__all__ = ["cleanup_expired_tokens", "send_verification_email"]


@app.task(name="auth.send_verification_email")
def send_verification_email(user_id: int, email: str, verification_link: str) -> None:
    """Mail the verification link to the address that is to be verified, and note that it was sent."""
    response = requests.get(shop_url(f"/users/{user_id}"), timeout=TIMEOUT_S)
    response.raise_for_status()
    user = response.json()
    send_mail(
        email,
        "Please verify your e-mail address",
        f"Hello {user['name']},\n\nfollow this link to verify your address:\n{verification_link}\n\nYour shop\n",
    )
    note = {"email": email, "link": verification_link}
    requests.post(shop_url(f"/users/{user_id}/verifications"), json=note, timeout=TIMEOUT_S).raise_for_status()


@app.task(name="auth.cleanup_expired_tokens")
def cleanup_expired_tokens(days: int = 7) -> int:
    """Revoke the tokens older than `days`; returns how many."""
    response = requests.get(shop_url("/tokens"), timeout=TIMEOUT_S)
    response.raise_for_status()
    expired = [token["id"] for token in response.json() if token["age_days"] > days]
    for token_id in expired:
        requests.delete(shop_url(f"/tokens/{token_id}"), timeout=TIMEOUT_S).raise_for_status()
    return len(expired)
