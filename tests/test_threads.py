from __future__ import annotations

import threading

import pytest
from threadpoolctl import threadpool_info

from shapecluster._threads import n_threads, single_threaded_blas


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_is_held_at_one_thread_and_let_go():
    before = blas_threads()
    with single_threaded_blas(), single_threaded_blas():
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_a_block_in_another_thread_changes_nothing_and_leaves_nothing_behind():
    before = blas_threads()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with single_threaded_blas():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=other)
    with single_threaded_blas():
        thread.start()
        assert inside.wait(5)
        assert set(blas_threads()) == {1}
    leave.set()
    thread.join()
    assert blas_threads() == before
    with single_threaded_blas():
        assert set(blas_threads()) == {1}


def test_an_error_inside_lifts_the_limit():
    before = blas_threads()
    with pytest.raises(RuntimeError, match="inside"), single_threaded_blas():
        raise RuntimeError("inside")
    assert blas_threads() == before


def test_n_jobs_means_what_joblib_says():
    assert n_threads(None) == 1
    assert n_threads(3) == 3
    assert n_threads(-1) >= 1
