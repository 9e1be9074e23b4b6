"""How long calls are repeated, by a clock that passes only in waits."""

from __future__ import annotations

import pytest

from shapecluster.exceptions import AccessError, ConnectionLostError, JobRunningError, ThrottledError
from shapecluster.remote import Job, _retries
from shapecluster.remote._polling import JobClient
from shapecluster.remote._retries import with_retries
from tests.remote.fakes import FakeClock, FakePlatform


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(time) -> JobClient:
    return JobClient(FakePlatform(), Job(poll_interval=10.0), time.clock)


def always(error, calls=None):
    def call():
        if calls is not None:
            calls.append(1)
        raise error("again", operation="x")

    return call


@pytest.mark.parametrize("error", [ThrottledError, ConnectionLostError])
def test_retries_end_with_the_deadline(time, error):
    begin, calls = time.time, []

    def call() -> None:
        calls.append(time.time)
        raise error("again", operation="x")

    with pytest.raises(error):
        with_retries(call, time.clock, interval=10.0, patience=600.0, deadline=begin + 25.0)
    assert time.time - begin == pytest.approx(25.0)  # the last wait is cut short, and one last try follows
    assert [call for call in calls if call >= begin + 25.0] == [calls[-1]]


def test_a_call_that_stays_throttled_is_given_up(client, time):
    calls = []
    with pytest.raises(ThrottledError) as caught:
        client.repeat(always(ThrottledError, calls))
    assert time.waits == [10.0, 20.0, 40.0] + [60.0] * 8
    assert len(calls) == caught.value.attempts == 12


def test_a_call_without_an_answer_is_given_up_soon(client, time):
    begin, calls = time.time, []
    with pytest.raises(ConnectionLostError) as caught:
        client.repeat(always(ConnectionLostError, calls))
    assert time.waits == pytest.approx([1.0, 2.0, 3.0])  # doubled, and cut short where the patience ends
    assert time.time - begin == pytest.approx(6.0)
    assert len(calls) == caught.value.attempts == 4


def test_a_throttled_answer_is_an_answer(client, time):
    errors = [ThrottledError("slow")] * 3 + [ConnectionLostError("lost")]

    def call():
        if errors:
            raise errors.pop(0)
        return "answer"

    assert client.repeat(call) == "answer"
    assert time.waits == [10.0, 20.0, 40.0, 6.0]


def test_other_errors_are_raised_at_once(client, time):
    with pytest.raises(AccessError) as caught:
        client.repeat(always(AccessError))
    assert time.waits == []
    assert caught.value.attempts == 1


def test_polling_outlasts_minutes_without_a_network_but_not_for_ever(client, time):
    back = time.time + 9 * 60

    def describe():
        if time.time < back:
            raise ConnectionLostError("lost", operation="x")
        return {"Status": "Completed"}

    assert client.poll(describe, lambda answer: True) == {"Status": "Completed"}
    assert max(time.waits) == 60.0
    begin, calls = time.time, []
    with pytest.raises(ConnectionLostError):
        client.poll(always(ConnectionLostError, calls), lambda answer: True)
    assert time.time - begin == pytest.approx(600.0)
    assert len(calls) <= 20  # one place repeats: tries are not multiplied


@pytest.mark.parametrize(("code", "tries"), [("ConnectionClosedError", 2), ("ReadTimeoutError", 1)])
def test_a_slow_first_try_is_repeated_once_unless_it_timed_out(client, time, code, tries):
    calls = []

    def slow():
        calls.append(1)
        time.time += 30.0
        raise ConnectionLostError("lost", operation="x", code=code)

    with pytest.raises(ConnectionLostError):
        client.repeat(slow)
    assert len(calls) == tries


def test_thousands_of_tries_wait_no_longer_than_the_longest_wait(time, monkeypatch):
    monkeypatch.setattr(_retries, "_SLOWEST", 0.01)
    with pytest.raises(ConnectionLostError) as caught:
        with_retries(always(ConnectionLostError), time.clock, patience=20.0)
    assert caught.value.attempts > 1500
    assert max(time.waits) == 0.01


def test_polling_ends_with_the_deadline_and_never_waits_beyond_it(client, time):
    begin = time.time
    with pytest.raises(JobRunningError):
        client.poll(lambda: {"Status": "InProgress"}, lambda answer: False, deadline=begin + 25)
    assert time.time - begin == pytest.approx(25.0)
    assert time.waits == pytest.approx([10.0, 10.0, 5.0])
