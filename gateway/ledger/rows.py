"""Between records and rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from dualrun.contracts import Decision, JsonValue, Mode, Options, Outcome, Reason, Redirected, Safety, Side, Submission, SubmissionRecord
from gateway.core.comparison import Comparison, Difference, Verdict
from gateway.core.gate import GateVerdict
from gateway.core.pairing import due_time
from gateway.ledger import schema

__all__ = [
    "Row",
    "cohort_hash",
    "comparison_from",
    "comparison_row",
    "gate_verdict_from",
    "json_text",
    "json_value",
    "outcome_from",
    "outcome_row",
    "submission_from",
    "submission_row",
]

Row = dict[str, object]

_encoder = msgspec.json.Encoder()
_options = msgspec.json.Decoder(Options)
_args = msgspec.json.Decoder(tuple[JsonValue, ...])
_object = msgspec.json.Decoder(dict[str, JsonValue])
_redirected = msgspec.json.Decoder(Redirected)
_gate_verdict = msgspec.json.Decoder(GateVerdict)
_outcome = msgspec.json.Decoder(Outcome)
_differences = msgspec.json.Decoder(tuple[Difference, ...])


def json_text(value: JsonValue | msgspec.Struct | Sequence[Difference]) -> str:
    """Any value of the contract as JSON text."""
    return _encoder.encode(value).decode()


def json_value(text: str) -> JsonValue:
    """What `json_text` was given."""
    value: JsonValue = msgspec.json.decode(text)
    return value


def cohort_hash(cohort_key: str) -> int:
    """What finds a cohort key's comparisons: 63 bits, the same in every process and release."""
    return int.from_bytes(hashlib.blake2b(cohort_key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def submission_row(record: SubmissionRecord) -> Row:
    """The row of a submission and its decision."""
    submission, decision = record.submission, record.decision
    return {
        "id": submission.id,
        "task": submission.task,
        "args": json_text(submission.args),
        "kwargs": json_text(submission.kwargs),
        "options": json_text(submission.options),
        "cohort_key": submission.cohort_key,
        "attributes": json_text(submission.attributes),
        "submitted_at": submission.submitted_at,
        "traceparent": submission.traceparent,
        "mode": str(decision.mode),
        "authority": str(decision.authority),
        "shadow": None if decision.shadow is None else str(decision.shadow),
        "reason": str(decision.reason),
        "bucket": decision.bucket,
        "flag_version": decision.flag_version,
        "rule": decision.rule,
        "shadow_delay_s": decision.shadow_delay_s,
        "safety": None if decision.safety is None else str(decision.safety),
        "due_at": due_time(record),
        "pending": int(decision.shadow is not None),
        "redirects": 0 if record.redirected is None else record.redirected.times,
        "redirected": None if record.redirected is None else json_text(record.redirected),
    }


def submission_from(value: sa.RowMapping) -> SubmissionRecord:
    """The record a row of submissions holds."""
    columns = schema.submissions.c
    return SubmissionRecord(
        submission=Submission(
            id=value[columns.id],
            task=value[columns.task],
            args=_args.decode(value[columns.args]),
            kwargs=_object.decode(value[columns.kwargs]),
            options=_options.decode(value[columns.options]),
            cohort_key=value[columns.cohort_key],
            attributes=_object.decode(value[columns.attributes]),
            submitted_at=value[columns.submitted_at],
            traceparent=value[columns.traceparent],
        ),
        decision=Decision(
            mode=Mode(value[columns.mode]),
            authority=Side(value[columns.authority]),
            shadow=None if value[columns.shadow] is None else Side(value[columns.shadow]),
            reason=Reason(value[columns.reason]),
            bucket=value[columns.bucket],
            flag_version=value[columns.flag_version],
            rule=value[columns.rule],
            shadow_delay_s=value[columns.shadow_delay_s],
            safety=None if value[columns.safety] is None else Safety(value[columns.safety]),
        ),
        redirected=None if value[columns.redirected] is None else _redirected.decode(value[columns.redirected]),
    )


def outcome_row(outcome: Outcome, arrived_at: datetime) -> Row:
    """The row of an outcome."""
    return {
        "submission_id": outcome.submission_id,
        "role": str(outcome.role),
        "side": str(outcome.side),
        "state": str(outcome.state),
        "body": json_text(outcome),
        "arrived_at": arrived_at,
    }


def outcome_from(body: str) -> Outcome:
    """The outcome a row's body holds."""
    return _outcome.decode(body)


def comparison_row(comparison: Comparison) -> Row:
    """The row of a comparison."""
    return {
        "submission_id": comparison.submission_id,
        "task": comparison.task,
        "verdict": str(comparison.verdict),
        "missing": comparison.missing,
        "differences": json_text(comparison.differences),
        "authority_ms": comparison.authority_ms,
        "shadow_ms": comparison.shadow_ms,
        "skew_ms": comparison.skew_ms,
        "flag_version": comparison.flag_version,
        "ruleset_version": comparison.ruleset_version,
        "compared_at": comparison.compared_at,
        "control": int(comparison.control),
        "cohort": comparison.cohort,
        "cohort_hash": cohort_hash(comparison.cohort_key) if comparison.cohort_key else None,
    }


def comparison_from(value: sa.RowMapping) -> Comparison:
    """The comparison a row of comparisons holds."""
    columns = schema.comparisons.c
    return Comparison(
        submission_id=value[columns.submission_id],
        task=value[columns.task],
        verdict=Verdict(value[columns.verdict]),
        differences=_differences.decode(value[columns.differences]),
        missing=value[columns.missing],
        authority_ms=value[columns.authority_ms],
        shadow_ms=value[columns.shadow_ms],
        skew_ms=value[columns.skew_ms],
        ruleset_version=value[columns.ruleset_version],
        flag_version=value[columns.flag_version],
        compared_at=value[columns.compared_at],
        control=bool(value[columns.control]),
        cohort=value[columns.cohort],
    )


def gate_verdict_from(body: str) -> GateVerdict:
    """The word of the gate a row's body holds."""
    return _gate_verdict.decode(body)
