from __future__ import annotations

from datetime import UTC

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Event, NotAnEvent, event_from_message, headers_of

TEXT = st.text(st.sampled_from('aZ0_ \n\0"\\é€😀\u2028'), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)
EVENTS = st.builds(
    Event,
    id=TEXT,
    type=TEXT,
    source=TEXT,
    time=st.datetimes(timezones=st.just(UTC)),
    payload=st.dictionaries(TEXT, JSON, max_size=4),
    subject=st.none() | TEXT,
    headers=st.dictionaries(st.sampled_from(["traceparent", "dualrun-role", "x-own"]), TEXT),
)
GOOD = {"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:type": "t", "cloudEvents:source": "/s"}


@given(EVENTS)
def test_an_event_comes_back_from_its_message(event: Event) -> None:
    assert event_from_message(headers_of(event), msgspec.json.encode(event.payload)) == event


@given(EVENTS)
def test_the_underscore_spelling_is_read_too(event: Event) -> None:
    headers = {name.replace("cloudEvents:", "cloudEvents_"): value for name, value in headers_of(event).items()}
    assert event_from_message(headers, msgspec.json.encode(event.payload)) == event


def test_headers_of_other_types_are_read_as_text() -> None:
    assert event_from_message({**GOOD, "x-delivery-count": 3}, b"").headers == {"x-delivery-count": "3"}


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_message_without_a_required_attribute_is_no_event(missing: str) -> None:
    with pytest.raises(NotAnEvent, match=missing.removeprefix("cloudEvents:")):
        event_from_message({name: value for name, value in GOOD.items() if name != missing}, b"{}")


@pytest.mark.parametrize(("headers", "body"), [({}, b"[]"), ({}, b"{"), ({}, b"1"), ({"cloudEvents:time": "noon"}, b"{}"), ({}, b"\xff")])
def test_what_cannot_be_read_is_no_event(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(NotAnEvent):
        event_from_message({**GOOD, **headers}, body)
