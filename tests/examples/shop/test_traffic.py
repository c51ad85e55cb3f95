"""The generated traffic, and what makes the shop fit for dual runs."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.contracts import Role
from examples.shop.server import RunningShop
from examples.shop.traffic import DECK, submissions
from gateway.comparison import compare_outcomes
from gateway.core.comparison import Verdict
from tests.support.outcomes import legacy_outcome
from tests.support.shop import legacy_app


@given(n=st.integers(0, 250), seed=st.integers())
@settings(max_examples=50)
def test_the_same_seed_gives_the_same_traffic_and_more_of_it_only_adds(n: int, seed: int) -> None:
    assert list(submissions(n, seed)) == list(submissions(n + 30, seed))[:n]


@given(st.integers())
@settings(max_examples=20)
def test_every_hundred_hold_every_task_as_often_as_the_deck_says(seed: int) -> None:
    assert Counter(request.task for request in submissions(100, seed)) == DECK
    assert sum(DECK.values()) == 100


def test_the_traffic_is_for_every_sample_task() -> None:
    assert DECK.keys() == {name for name in legacy_app().tasks if not name.startswith("celery.")}


def test_a_late_shadow_of_the_same_task_sees_what_the_authority_saw(sample_shop: RunningShop) -> None:
    requests = list(submissions(100, seed=3))
    authorities = [legacy_outcome(sample_shop, request, Role.AUTHORITY) for request in requests]
    calls, mails = len(sample_shop.state.calls), len(sample_shop.mail.messages)

    shadows = [legacy_outcome(sample_shop, request, Role.SHADOW) for request in reversed(requests)]

    verdicts = Counter(compare_outcomes(*pair)[0] for pair in zip(authorities, reversed(shadows), strict=True))
    assert verdicts == {Verdict.EQUAL: 100}
    assert (len(sample_shop.state.calls), len(sample_shop.mail.messages)) == (calls, mails)
