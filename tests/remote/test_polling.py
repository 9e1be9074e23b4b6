"""How long calls are repeated, by a clock that passes only in waits."""

from __future__ import annotations

import pytest

from shapecluster.exceptions import ConnectionLostError, JobRunningError, ThrottledError
from shapecluster.remote._polling import PollSchedule, poll, with_retries
from tests.remote.fakes import FakeClock


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.mark.parametrize("error", [ThrottledError, ConnectionLostError])
def test_retries_end_with_the_deadline(time, error):
    begin, calls = time.time, []

    def call() -> None:
        calls.append(time.time)
        raise error("again", operation="x")

    with pytest.raises(error):
        with_retries(call, PollSchedule(10.0, time.clock, begin + 25.0))
    assert time.time - begin == pytest.approx(25.0)  # the last wait is cut short, and one last try follows
    assert [call for call in calls if call >= begin + 25.0] == [calls[-1]]


@pytest.mark.parametrize("error", [ThrottledError, ConnectionLostError])
def test_without_a_deadline_retries_end_as_well(time, error):
    def call() -> None:
        raise error("again", operation="x")

    with pytest.raises(error):
        with_retries(call, PollSchedule(10.0, time.clock))
    assert 4 <= len(time.waits) <= 11


def test_polling_ends_with_the_deadline_and_never_waits_beyond_it(time):
    begin = time.time
    with pytest.raises(JobRunningError):
        poll(
            lambda: {"Status": "InProgress"}, lambda answer: False, PollSchedule(10.0, time.clock, begin + 25)
        )
    assert time.time - begin == pytest.approx(25.0)
    assert time.waits == pytest.approx([10.0, 10.0, 5.0])
