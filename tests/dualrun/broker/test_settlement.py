from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.broker.settlement import Settlement

FRAME = struct.Struct(">BHIHHQBB")
ACK, REJECT, NACK = 80, 90, 120
CHANNEL = 7


class StrictBroker:
    """A channel as RabbitMQ keeps it: a frame that settles nothing open closes it."""

    def __init__(self, delivered: int) -> None:
        self.open = set(range(1, delivered + 1))
        self.fate: dict[int, int] = {}
        self.frames = 0

    def read(self, frames: bytes) -> None:
        for _, channel, _, _, method, tag, flag, _ in FRAME.iter_unpack(frames):
            assert channel == CHANNEL
            assert tag in self.open, f"unknown delivery tag {tag}"
            self.frames += 1
            multiple = method == ACK and flag == 1
            for settled in [known for known in self.open if known == tag or (multiple and known < tag)]:
                self.open.remove(settled)
                self.fate[settled] = method


ACTIONS = {ACK: Settlement.ack, REJECT: Settlement.reject, NACK: Settlement.requeue}
HOW = st.sampled_from([ACK, ACK, ACK, REJECT, NACK])


@given(st.data(), st.integers(1, 40))
@settings(max_examples=300)
def test_each_message_meets_the_fate_it_was_given_and_no_other(data: st.DataObject, delivered: int) -> None:
    broker, settlement = StrictBroker(delivered), Settlement(CHANNEL)
    order = data.draw(st.permutations(range(1, delivered + 1)))
    settled = data.draw(st.integers(0, delivered))
    wanted: dict[int, int] = {}
    for tag in order[:settled]:
        wanted[tag] = data.draw(HOW)
        ACTIONS[wanted[tag]](settlement, tag)
        if data.draw(st.booleans()):
            broker.read(settlement.take_frames())
            assert broker.fate == wanted
            assert not settlement.is_due
    broker.read(settlement.take_frames())
    assert broker.fate == wanted


@given(st.permutations(range(1, 31)))
@settings(max_examples=50)
def test_a_run_of_acks_is_one_frame_in_whatever_order_it_was_given(order: list[int]) -> None:
    broker, settlement = StrictBroker(30), Settlement(CHANNEL)
    for tag in order:
        settlement.ack(tag)
    broker.read(settlement.take_frames())
    assert (broker.open, broker.frames) == (set(), 1)
