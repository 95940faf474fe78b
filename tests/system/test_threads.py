"""Tasks in threads: all of them done, so many at once, and every one ended by the first failure."""

from __future__ import annotations

import threading
import time

import pytest

from buildguard.system import threads


def test_every_task_is_done_once_and_so_many_at_once() -> None:
    done: list[int] = []
    both = threading.Barrier(2, timeout=60)

    def task(number: int) -> None:
        both.wait()  # two have to be here together
        done.append(number)

    threads.run_tasks([lambda at=at: task(at) for at in range(6)], together=2)  # type: ignore[misc]

    assert sorted(done) == list(range(6))


def test_tasks_begin_in_their_order() -> None:
    begun: list[int] = []

    threads.run_tasks([lambda at=at: begun.append(at) for at in range(5)], together=1)  # type: ignore[misc]

    assert begun == list(range(5))


def test_the_first_error_is_raised_and_no_other_task_begins() -> None:
    begun: list[str] = []
    stopped = threading.Event()

    def wait() -> None:
        begun.append("waits")
        try:
            while True:
                threads.raise_if_stopping()
                time.sleep(0.01)
        except KeyboardInterrupt:
            stopped.set()
            raise

    def fail() -> None:
        while not begun:
            time.sleep(0.01)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        threads.run_tasks([wait, fail, lambda: begun.append("too late")], together=2)

    assert stopped.is_set()
    assert begun == ["waits"]


@pytest.mark.parametrize("error", [IndexError("a task's own"), KeyError("k"), SystemExit(3)])
def test_whatever_a_task_raises_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        threads.run_tasks([fail], together=2)


def test_both_results_come_back_and_either_error() -> None:
    both = threading.Barrier(2, timeout=60)

    def result(value: object) -> object:
        both.wait()  # they run at the same time
        return value

    assert threads.run_both(lambda: result(1), lambda: result("two")) == (1, "two")
    with pytest.raises(IndexError, match="empty"):
        threads.run_both([].pop, lambda: 1)
    with pytest.raises(ZeroDivisionError):
        threads.run_both(lambda: 1, lambda: 1 / 0)


def test_a_task_that_is_to_end_ends_its_own_tasks() -> None:
    begun, ended = threading.Event(), threading.Event()

    def inner() -> None:
        begun.set()
        try:
            while True:
                threads.raise_if_stopping()
                time.sleep(0.01)
        finally:
            ended.set()

    def fail() -> None:
        assert begun.wait(60)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        threads.run_tasks([lambda: threads.run_tasks([inner], together=1), fail], together=2)
    assert ended.is_set()


def test_the_main_thread_never_stops_by_itself() -> None:
    threads.raise_if_stopping()


def test_no_task_is_no_work() -> None:
    threads.run_tasks([], together=3)
