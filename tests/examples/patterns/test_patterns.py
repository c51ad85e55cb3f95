"""Each pattern's example, on each broker: who got what."""

from __future__ import annotations

import sys

from dualrun.broker import Broker
from examples.patterns import (
    direct_routing,
    event_history,
    headers_routing,
    ordering,
    priorities,
    publish_subscribe,
    request_reply,
    service_queue,
    topic_routing,
    work_queue,
)
from examples.patterns.__main__ import NAMES
from tests.support.processes import Process


async def test_work_is_done_once_and_mostly_by_whoever_is_free(broker: Broker) -> None:
    done = await work_queue.show(broker)
    assert sorted(done["quick"] + done["slow"]) == sorted(f"{number}.jpg" for number in range(20))
    assert len(done["quick"]) > len(done["slow"])


async def test_every_subscriber_gets_its_copy(broker: Broker) -> None:
    both = ["release.published", "maintenance.planned"]
    assert {name: sorted(heard) for name, heard in (await publish_subscribe.show(broker)).items()} == {
        name: sorted(both) for name in ("web", "mobile", "archive")
    }


async def test_direct_routing_goes_by_the_very_type(broker: Broker) -> None:
    heard = await direct_routing.show(broker)
    assert {name: sorted(types) for name, types in heard.items()} == {
        "billing": ["order.created"],
        "directory": ["user.created", "user.deleted"],
    }


async def test_topics_go_by_pattern(broker: Broker) -> None:
    heard = await topic_routing.show(broker)
    assert {name: sorted(types) for name, types in heard.items()} == {
        "audit": ["experiment.run.started", "order.created", "user.created", "user.updated"],
        "growth": ["order.created", "user.created"],
        "users": ["user.created", "user.updated"],
    }


async def test_headers_go_by_all_or_any_of_their_values(broker: Broker) -> None:
    heard = await headers_routing.show(broker)
    assert {name: sorted(types) for name, types in heard.items()} == {
        "eu-print": ["report.made sales"],
        "watch": ["report.made fraud", "report.made sales", "report.made stock"],
    }


async def test_what_is_published_while_a_service_is_away_waits_for_it(broker: Broker) -> None:
    heard = await service_queue.show(broker)
    assert heard["before"] == ["order.paid 1"]
    assert sorted(heard["after"]) == ["order.paid 2", "order.paid 3"]


async def test_a_request_is_answered_refused_by_name_or_given_up(broker: Broker) -> None:
    answers = (await request_reply.show(broker))["shop"]
    assert answers[0] == "{'price': Decimal('49.90')}"
    assert answers[1] == "UnknownProduct: unicorn"
    assert answers[2] == "no reply to 'price.requested' within 0.2 s"


async def test_history_can_be_asked_again(broker: Broker) -> None:
    told = await event_history.show(broker)
    assert told == {name: ["experiment.created 1", "experiment.created 2"] for name in ("first", "second")}


async def test_bookings_of_one_account_keep_their_order(broker: Broker) -> None:
    booked = await ordering.show(broker)
    assert booked == {f"account {account}": [str(number) for number in range(10)] for account in (1, 2, 3)}


async def test_the_highest_priority_comes_first(broker: Broker) -> None:
    sent = (await priorities.show(broker))["mail"]
    assert sent[:2] == ["mail.wanted password reset", "mail.wanted invoice"]


def test_an_example_runs_by_its_name() -> None:
    assert "topic_routing" in NAMES
    with Process("example", [sys.executable, "-m", "examples.patterns", "topic_routing"]) as example:
        assert example.wait() == 0
        assert '"growth"' in example.output
