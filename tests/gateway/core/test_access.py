from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.access import (
    AccessList,
    AccessSnapshot,
    AccessToken,
    Identity,
    Permission,
    Via,
    digest_of,
    granted,
    new_token,
    token_named_by,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOKEN = AccessToken(id="0123456789ab", name="ann", digest=digest_of("s3cret_with_underscore"), permissions=(), created_at=NOON)
SHOWN = new_token(TOKEN.id, "s3cret_with_underscore")


def snapshot(token: AccessToken = TOKEN) -> AccessSnapshot:
    return AccessSnapshot.of(AccessList(tokens=(token,)))


def test_a_token_is_known_by_its_secret() -> None:
    assert token_named_by(SHOWN, snapshot(), NOON) is TOKEN


@pytest.mark.parametrize(
    "presented",
    ["", "_", "dualrun", "dualrun_0123456789ab", "dualrun_0123456789ab_", SHOWN + "x", SHOWN[:-1], SHOWN.upper(), "other" + SHOWN[7:], "é"],
)
def test_anything_else_is_nobody(presented: str) -> None:
    assert token_named_by(presented, snapshot(), NOON) is None


def test_an_expired_token_is_nobody() -> None:
    token = AccessToken(id=TOKEN.id, name="ann", digest=TOKEN.digest, permissions=(), created_at=NOON, expires_at=NOON)
    assert token_named_by(SHOWN, snapshot(token), NOON) is None
    assert token_named_by(SHOWN, snapshot(token), NOON - timedelta(seconds=1)) is token


def test_the_secret_is_compared_in_constant_time_whether_or_not_the_id_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def watched(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("gateway.core.access.hmac.compare_digest", watched)
    for presented in (SHOWN, SHOWN + "x", new_token("ffffffffffff", "s3cret"), "nonsense"):
        token_named_by(presented, snapshot(), NOON)
    # Always two digests of one length: no byte of a secret is compared with another.
    assert [(len(one), len(other)) for one, other in compared] == [(64, 64)] * 4


def test_permissions_imply_what_they_need() -> None:
    assert granted([Permission.OPERATE]) == {Permission.OPERATE, Permission.VIEW}
    assert granted([Permission.ADMIN]) == set(Permission)
    assert granted([Permission.SUBMIT]) == {Permission.SUBMIT}


@pytest.mark.parametrize(
    ("globs", "task", "within"),
    [
        (("*",), "anything", True),
        (("order.*",), "order.confirm", True),
        (("order.*",), "orders.confirm", False),
        (("order.*", "cart.merge"), "cart.merge", True),
        # Flags may be a glob's: within reach is what could match nothing else.
        (("order.*",), "order.*", True),
        (("order.*",), "order.[ab]*", True),
        (("order.*",), "order*", False),
        (("order.?",), "order.*", False),
        (("order.[ab]",), "order.*", False),
        (("order.[ab]",), "order.[ab]", True),
    ],
)
def test_a_glob_reaches_the_tasks_it_names_and_no_glob_wider_than_itself(globs: tuple[str, ...], task: str, within: bool) -> None:
    caller = Identity(name="ann", via=Via.TOKEN, permissions=frozenset(), tasks=globs)
    assert caller.reaches(task) is within
