"""Records on the wire: JSON arrays of submissions and outcomes, each tagged with what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from dualrun.contracts.outcome import Outcome
from dualrun.contracts.submission import SubmissionRecord

__all__ = ["Record", "UnreadableRecords", "decode_records", "encode_records", "sort_records"]

Record: TypeAlias = SubmissionRecord | Outcome

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Record, ...])
_array_decoder = msgspec.json.Decoder(tuple[msgspec.Raw, ...])


class UnreadableRecords(ValueError):
    """A message does not hold records of this contract; the text says where and why."""


def encode_records(records: Sequence[Record]) -> bytes:
    """One message body for any number of records."""
    return _encoder.encode(records)


def decode_records(body: bytes) -> tuple[Record, ...]:
    """The records of one message body.

    Raises `UnreadableRecords` when the body is not JSON of this contract.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise UnreadableRecords(str(exc)) from exc


def sort_records(body: bytes) -> tuple[bytes, tuple[tuple[bytes, str], ...]]:
    """What to make of a message body of which not all can be read.

    A body of those records that can, and each of the others as a body of its own, with the reason.
    Raises `UnreadableRecords` when the body is no JSON array.
    """
    try:
        members = _array_decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise UnreadableRecords(str(exc)) from exc
    readable: list[bytes] = []
    unreadable: list[tuple[bytes, str]] = []
    for member in map(bytes, members):
        alone = b"[" + member + b"]"
        try:
            decode_records(alone)
        except UnreadableRecords as exc:
            unreadable.append((alone, str(exc)))
        else:
            readable.append(member)
    return b"[" + b",".join(readable) + b"]", tuple(unreadable)
