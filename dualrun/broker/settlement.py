"""Which frames settle the deliveries of one channel: runs of acks become one, and never cover a message still in hand."""

from __future__ import annotations

from dualrun.broker.amqp_frame import ack_frame, nack_frame, reject_frame

__all__ = ["Settlement"]


class Settlement:
    """Delivery tags are 1, 2, 3, ... in the order of delivery. Each tag is settled once."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._floor = 0
        """Every tag up to here is settled, and the broker was told."""
        self._acked: set[int] = set()
        """Acked, and the broker does not know yet."""
        self._told: set[int] = set()
        """Settled above the floor, and the broker knows."""
        self._refusals: list[bytes] = []

    @property
    def is_due(self) -> bool:
        """Whether the broker has to be told anything."""
        return bool(self._acked or self._refusals)

    @property
    def acked(self) -> int:
        """Acks the broker does not know of yet."""
        return len(self._acked)

    def ack(self, tag: int) -> None:
        self._acked.add(tag)

    def requeue(self, tag: int) -> None:
        self._told.add(tag)
        self._refusals.append(nack_frame(self._channel, tag))

    def reject(self, tag: int) -> None:
        self._told.add(tag)
        self._refusals.append(reject_frame(self._channel, tag))

    def take_frames(self) -> bytes:
        """What to tell the broker now."""
        # Refusals go first: an ack of everything up to a tag must not find a refused message still open.
        frames = self._refusals
        self._refusals = []
        last = self._raise_floor()
        if last:
            frames.append(ack_frame(self._channel, last, multiple=True))
        if self._acked:
            frames.extend(ack_frame(self._channel, tag, multiple=False) for tag in sorted(self._acked))
            self._told |= self._acked
            self._acked.clear()
        return b"".join(frames)

    def _raise_floor(self) -> int:
        """Move the floor over settled tags; the last ack passed, or 0. RabbitMQ refuses a multiple ack whose own tag is not open."""
        last = 0
        tag = self._floor + 1
        while True:
            if tag in self._acked:
                self._acked.remove(tag)
                last = tag
            elif tag in self._told:
                self._told.remove(tag)
            else:
                self._floor = tag - 1
                return last
            tag += 1
