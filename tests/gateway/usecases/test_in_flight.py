"""Counts of work in flight are called complete when everybody has spoken, and not before."""

from __future__ import annotations

import msgspec
import pytest

from dualrun.contracts import Side
from dualrun.contracts.recall import WorkerCounts
from gateway.usecases.in_flight import InFlight
from gateway.usecases.redirect_work import Whereto

VERSION = 7


async def _told(_: bytes) -> None:
    """Nobody else listens."""


def _heard(in_flight: InFlight, worker: str, *, given_back: int, waiting: int = 0) -> None:
    said = WorkerCounts(worker=worker, side=Side.EVENTS, version=VERSION, started=1, given_back=given_back, waiting=waiting)
    in_flight.hear(msgspec.json.encode(said))


@pytest.fixture
async def in_flight() -> InFlight:
    return InFlight("gateway", _told)


async def test_they_are_complete_when_every_worker_has_spoken_and_all_given_back_is_dealt_with(in_flight: InFlight) -> None:
    _heard(in_flight, "one", given_back=1)
    assert not in_flight.counts(VERSION, 2).complete
    _heard(in_flight, "two", given_back=0)
    assert not in_flight.counts(VERSION, 2).complete
    in_flight.count(VERSION, Whereto.REDIRECTED)
    counts = in_flight.counts(VERSION, 2)
    assert (counts.complete, counts.redirected, counts.started, counts.workers) == (True, 1, 2, 2)
    _heard(in_flight, "two", given_back=0, waiting=3)
    assert not in_flight.counts(VERSION, 2).complete
    await in_flight.stop()


async def test_they_are_never_complete_where_nobody_knows_how_many_workers_there_are(in_flight: InFlight) -> None:
    _heard(in_flight, "one", given_back=0)
    assert in_flight.counts(VERSION, 0).complete
    assert not in_flight.counts(VERSION, None).complete
    assert not (await in_flight.settled(VERSION, None, 0.05)).complete
