"""What a failure means for a job: another attempt after a growing pause, or none."""

from __future__ import annotations

import pytest

from entresol.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, UnavailableError
from entresol.jobs.kinds import RETRY_MAX_S, Reports, retry_s


def test_pauses_double_and_half_of_each_is_chance() -> None:
    for number in range(1, 10):
        pauses = [retry_s(ValueError(), number, 100) for _ in range(200)]
        assert all(
            pause is not None and 2 ** (number - 1) / 2 <= pause <= 2 ** (number - 1) for pause in pauses
        )
        assert len(set(pauses)) > 100


def test_no_pause_is_longer_than_the_longest() -> None:
    pause = retry_s(ValueError(), 5000, 10_000)
    assert pause is not None
    assert RETRY_MAX_S / 2 <= pause <= RETRY_MAX_S


def test_the_last_attempt_has_no_other_after_it() -> None:
    assert retry_s(ValueError(), 3, 3) is None


@pytest.mark.parametrize(
    "error",
    [NotFoundError("x"), InvalidArgumentError.of("x", "is wrong"), FailedPreconditionError("x", metadata={})],
)
def test_what_another_attempt_would_only_meet_again_is_final(error: Exception) -> None:
    assert retry_s(error, 1, 10) is None


def test_who_says_when_to_come_again_is_heard() -> None:
    error = UnavailableError("away", retry_after_s=42.0)
    assert retry_s(error, 1, 10) == 42.0


def test_what_is_away_for_long_uses_no_attempts_up_in_a_moment() -> None:
    pauses = [retry_s(UnavailableError("away", retry_after_s=0.2), number, 10) for number in range(1, 10)]
    assert sum(pause or 0 for pause in pauses) > 200


def test_reports_keep_the_last_word_and_never_a_lower_percent() -> None:
    reports = Reports()
    assert not reports.take()
    reports.tell(40, "reading", b"1")
    reports.tell(20, checkpoint=b"2")
    reports.tell(400)
    assert (reports.percent, reports.step, reports.checkpoint) == (100, "reading", b"2")
    assert reports.take()
    assert not reports.take()
