"""`--watch`: shown again when it changes, until it is over."""

from __future__ import annotations

import pytest

from gateway.cli.exit_code import ExitCode
from gateway.cli.refusal import Refused
from gateway.cli.watching import watched


class Answers:
    """Gives one after another; an error is raised."""

    def __init__(self, *answers: int | BaseException) -> None:
        self._answers = iter(answers)

    def __call__(self) -> int:
        answer = next(self._answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_it_is_shown_when_it_changes_and_not_after_it_is_over() -> None:
    shown: list[int] = []
    last = watched(Answers(1, 1, 2, 2, 3, 4), shown.append, interval_s=0.0, is_over=lambda seen: seen == 3)
    assert (shown, last) == ([1, 2, 3], 3)


def test_a_gateway_that_goes_away_is_waited_for_and_that_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[int] = []
    away = Refused("away", ExitCode.AWAY)
    watched(Answers(1, away, away, 2), shown.append, interval_s=0.0, is_over=lambda seen: seen == 2)
    assert shown == [1, 2]
    assert capsys.readouterr().err.count("Still watching") == 1


@pytest.mark.parametrize("answers", [(Refused("away", ExitCode.AWAY),), (1, Refused("gone", ExitCode.WRONG))])
def test_a_first_look_that_fails_and_a_refusal_end_it(answers: tuple[int | Refused, ...]) -> None:
    with pytest.raises(Refused):
        watched(Answers(*answers), lambda _: None, interval_s=0.0)


def test_ctrl_c_is_a_quiet_end() -> None:
    assert watched(Answers(1, 2, KeyboardInterrupt()), lambda _: None, interval_s=0.0) == 2
