"""JSON Schemas of what crosses a process boundary, for readers in any language; one file a document, with an example of each.

They follow from the contracts: `python -m dualrun.contracts.schemas` writes them again, and a test fails when they differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from dualrun.contracts.catalogue import Announcement
from dualrun.contracts.cloudevents import SPEC_VERSION
from dualrun.contracts.outcome import Outcome
from dualrun.contracts.records import Record
from dualrun.contracts.submission import SubmissionRecord
from dualrun.contracts.topology import (
    HEADER_ATTEMPT,
    HEADER_ETA,
    HEADER_EXPIRES,
    HEADER_FLAG_VERSION,
    HEADER_REDIRECTS,
    HEADER_RETRY_DELAYS,
    HEADER_ROLE,
    HEADER_ROUTING,
    HEADER_SAFETY,
    HEADER_SIDE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
)
from dualrun.contracts.words import Role, Safety, Side

__all__ = ["DOCUMENTS", "EventHeaders", "WorkHeaders", "rendered"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class WorkHeaders(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Headers of every message a submission becomes, on either side. AMQP headers are text; others may stand beside them."""

    submission_id: str = msgspec.field(name=HEADER_SUBMISSION_ID)
    role: Role = msgspec.field(name=HEADER_ROLE)
    side: Side = msgspec.field(name=HEADER_SIDE)
    flag_version: str = msgspec.field(name=HEADER_FLAG_VERSION)
    submitted_at: str = msgspec.field(name=HEADER_SUBMITTED_AT)
    traceparent: str | None = msgspec.field(name=HEADER_TRACEPARENT, default=None)
    routing: str | None = msgspec.field(name=HEADER_ROUTING, default=None)
    redirects: str | None = msgspec.field(name=HEADER_REDIRECTS, default=None)
    safety: Safety | None = msgspec.field(name=HEADER_SAFETY, default=None)


class EventHeaders(WorkHeaders, frozen=True, kw_only=True, omit_defaults=True):
    """Headers of work on the events side: a CloudEvent 1.0 in AMQP binary mode, its data the body."""

    specversion: str = msgspec.field(name="cloudEvents:specversion", default=SPEC_VERSION)
    id: str = msgspec.field(name="cloudEvents:id")
    type: str = msgspec.field(name="cloudEvents:type")
    source: str = msgspec.field(name="cloudEvents:source")
    time: str = msgspec.field(name="cloudEvents:time")
    subject: str | None = msgspec.field(name="cloudEvents:subject", default=None)
    eta: str | None = msgspec.field(name=HEADER_ETA, default=None)
    expires: str | None = msgspec.field(name=HEADER_EXPIRES, default=None)
    attempt: str | None = msgspec.field(name=HEADER_ATTEMPT, default=None)
    retry_delays: str | None = msgspec.field(name=HEADER_RETRY_DELAYS, default=None)


DOCUMENTS: Mapping[str, object] = {
    "submission-record": SubmissionRecord,
    "outcome": Outcome,
    "records": tuple[Record, ...],
    "announcement": Announcement,
    "work-headers": WorkHeaders,
    "event-headers": EventHeaders,
}
"""Name of the document, to the contract it follows from."""


def rendered() -> Mapping[str, str]:
    """Each document's schema as the text of its file."""
    return {name: _text(name, contract) for name, contract in DOCUMENTS.items()}


def _text(name: str, contract: object) -> str:
    schema = msgspec.json.schema(contract)
    return json.dumps({"$schema": _DIALECT, "$id": f"urn:dualrun:{name}", **schema}, indent=2, sort_keys=True) + "\n"
