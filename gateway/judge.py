"""The rules in force, and all that is done by them: what may be stored of a record, and what is said of a pair."""

from __future__ import annotations

from dataclasses import replace

from dualrun.contracts import JsonValue, Outcome, Record, Submission
from gateway.comparison import Redactor, RuleBook, compare_outcomes, paired_node_times
from gateway.comparison.paths import texts_in, without_texts
from gateway.core.pairing import Judgement

__all__ = ["Judge"]


class Judge:
    """Judges by one set of rules at a time."""

    def __init__(self, rules: RuleBook, redactor: Redactor) -> None:
        self._rules = rules
        self._redactor = redactor

    @property
    def rules(self) -> RuleBook:
        """The rules in force."""
        return self._rules

    def adopt(self, rules: RuleBook) -> None:
        """Judge by these from now on."""
        self._rules = rules

    def compare(self, submission: Submission, authority: Outcome, shadow: Outcome) -> Judgement:
        """The verdict on a pair. What its differences show is redacted."""
        book = self._rules
        rules = book.for_task(submission.task)
        given: dict[str, JsonValue] = {"args": list(submission.args), "kwargs": submission.kwargs}
        ours, theirs, same_given = self._redactor.comparable(authority, shadow, rules, given)
        verdict, differences = compare_outcomes(ours, theirs, rules, given=same_given, eta=submission.options.eta)
        texts = texts_in(given)
        general = (replace(one, path=without_texts(one.path, texts)) for one in differences)
        shown = tuple(self._redactor.difference(one, rules) for one in general)
        times = tuple((without_texts(path, texts), ours_ms, theirs_ms) for path, ours_ms, theirs_ms in paired_node_times(authority, shadow))
        return Judgement(verdict, shown, book.version, times)

    def redact(self, record: Record) -> Record:
        """The record as it may be stored."""
        if isinstance(record, Outcome):
            return self._redactor.outcome(record, self._rules.for_task(record.task))
        return self._redactor.submission(record, self._rules.for_task(record.submission.task))
