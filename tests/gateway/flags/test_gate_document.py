"""A flag's gate in a flags file, in the store and in what changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Safety
from gateway.core.errors import FlagsFileRejected
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flag_change import changes_between
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.gate import Check, CheckName, CheckResult, Unit
from gateway.core.gate_settings import Gate, OnFailure, OnWorkerLoss
from gateway.core.step import parse_step
from gateway.flags import dump_flags, parse_flags
from gateway.flags.wire import StoredFlags, decode_stored, encode_stored
from tests.support.records import NOON

PERCENTS = st.floats(0.001, 100)
GATES = st.builds(
    Gate,
    steps=st.sampled_from([Gate().steps, tuple(map(parse_step, ("shadow 0.001 %", "canary 12.5 %", "mirror", "events")))]),
    soak_s=st.floats(0, 10**6),
    min_samples=st.integers(1, 10**6),
    mismatch_percent=PERCENTS,
    error_points=st.floats(0, 100),
    latency_ratio=st.floats(0.1, 100),
    missing_percent=PERCENTS,
    dead_letters=st.one_of(st.none(), st.integers(0, 100)),
    on_failure=st.sampled_from(OnFailure),
    auto_promote=st.booleans(),
    dry_run=st.booleans(),
)
FLAGS = st.builds(
    Flag,
    task=st.just("shop.charge"),
    safety=st.just(Safety.PURE),
    gate=st.one_of(st.none(), GATES),
    held=st.booleans(),
    on_worker_loss=st.sampled_from(OnWorkerLoss),
)


@given(FLAGS)
def test_a_gate_reads_back_from_a_file_as_it_was(flag: Flag) -> None:
    assert parse_flags(dump_flags({flag.task: flag}), "flags.yaml") == {flag.task: flag}


@given(FLAGS)
def test_a_gate_and_the_evidence_of_a_version_read_back_from_the_store(flag: Flag) -> None:
    check = Check(name=CheckName.SPLIT, result=CheckResult.PASS, unit=Unit.PERCENT, observed=1.0, limit=1.0, n=5, text="fine")
    snapshot = FlagSnapshot(version=3, flags={flag.task: flag}, changed_at=NOON, evidence=FlagEvidence(report="r", n=5, checks=(check,)))
    assert decode_stored(encode_stored(StoredFlags(snapshot))).snapshot == snapshot


@pytest.mark.parametrize(
    ("gate", "line", "why"),
    [
        ("{steps: [canery 1 %]}", 6, "'canery 1 %' is no step"),
        ("{steps: [canary 5 %, canary 1 %]}", 6, "further on the way than 'canary 5 %'"),
        ("{soak_s: 1h}", 6, "should be a number"),
        ("{min_samples: 0}", 6, "min_samples at least 1"),
        ("{on_no_data: rollback}", 6, "should be one of hold"),
        ("{auto_promote: maybe}", 6, "should be true or false"),
        ("{mismatch: 1}", 6, "did you mean 'mismatch_percent'"),
        ("{steps: [shadow 5 %], mismatch_percent: 0}", 6, "mismatch_percent is a percentage above 0"),
        ("[]", 6, "should be a mapping"),
    ],
)
def test_a_mistake_in_a_gate_is_shown_with_its_line(gate: str, line: int, why: str) -> None:
    text = f"version: 1\nflags:\n  shop.charge:\n    mode: legacy\n    safety: pure\n    gate: {gate}\n"
    with pytest.raises(FlagsFileRejected, match=why) as caught:
        parse_flags(text, "flags.yaml")
    assert caught.value.line == line


def test_a_changed_gate_names_the_members_that_changed() -> None:
    flag = Flag(task="a", safety=Safety.PURE)
    gated = replace(flag, gate=Gate(soak_s=60))
    (added,) = changes_between({"a": flag}, {"a": gated})
    assert [(member.member, member.after) for member in added.members] == [
        ("gate", "shadow 5 %, shadow 100 %, canary 1 %, canary 10 %, canary 50 %, events"),
        ("gate.soak_s", 60),
    ]
    (changed,) = changes_between({"a": gated}, {"a": replace(gated, gate=Gate(soak_s=60, dry_run=True), held=True)})
    assert {member.member for member in changed.members} == {"held", "gate.dry_run"}
