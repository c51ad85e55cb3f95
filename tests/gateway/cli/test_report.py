"""`dualrun report` as a build asks it."""

from __future__ import annotations

import pytest

from tests.support.command_line import Dualrun


@pytest.mark.parametrize("fail_on", ["different", "incomplete", "unproven"])
def test_a_build_that_names_a_task_nobody_has_compared_does_not_pass(dualrun: Dualrun, fail_on: str) -> None:
    assert dualrun("report", "lerning.add", "--fail-on", fail_on).exit_code == 1
    assert dualrun("report", "lerning.add").exit_code == 0


def test_a_build_that_names_no_task_passes_where_nothing_was_compared(dualrun: Dualrun) -> None:
    assert dualrun("report", "--fail-on", "different").exit_code == 0
