"""The wire contract: words, records, messages and names. Pure; every process speaks it, nothing here does I/O."""

from __future__ import annotations

from dualrun.contracts.catalogue import Announcement, Parameter, ServedTask
from dualrun.contracts.cloudevents import Event, NotAnEvent, event_from_message, headers_of
from dualrun.contracts.effect import Effect, EffectKind, GeneratedKey
from dualrun.contracts.outcome import Failure, Outcome, SpanRecord
from dualrun.contracts.records import Record, UnreadableRecords, decode_records, encode_records, sort_records
from dualrun.contracts.submission import Decision, Options, Redirected, Submission, SubmissionRecord, Work
from dualrun.contracts.values import JsonObject, JsonValue
from dualrun.contracts.words import Mode, Reason, Role, Safety, Side, State

__all__ = [
    "Announcement",
    "Decision",
    "Effect",
    "EffectKind",
    "Event",
    "Failure",
    "GeneratedKey",
    "JsonObject",
    "JsonValue",
    "Mode",
    "NotAnEvent",
    "Options",
    "Outcome",
    "Parameter",
    "Reason",
    "Record",
    "Redirected",
    "Role",
    "Safety",
    "ServedTask",
    "Side",
    "SpanRecord",
    "State",
    "Submission",
    "SubmissionRecord",
    "UnreadableRecords",
    "Work",
    "decode_records",
    "encode_records",
    "event_from_message",
    "headers_of",
    "sort_records",
]
