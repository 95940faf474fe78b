"""Tasks in threads: so many at once, and all ended when one fails or we are interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from buildguard.definitions import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeVar

    _First = TypeVar("_First")
    _Second = TypeVar("_Second")
_LAST_MOMENT = 10.0  # seconds for a thread to remove its containers


class _TaskThread(threading.Thread):
    """Does one task after the other; an exit does not wait for it."""

    def __init__(self, waiting: list[Callable[[], None]], failures: list[BaseException]) -> None:
        super().__init__(daemon=True)
        self.stopping = False
        self._waiting = waiting
        self._failures = failures

    def run(self) -> None:
        while not self.stopping:
            try:
                task = self._waiting.pop()
            except IndexError:  # another thread took the last one
                return
            try:
                task()
            except BaseException as error:  # noqa: BLE001  raised again by whoever waits for us
                self._failures.append(error)
                return


def run_tasks(tasks: Sequence[Callable[[], None]], together: int) -> None:
    """Do some tasks, so many at once. The first error, or a Ctrl-C, ends the others and is raised here."""
    import sysconfig

    # filled on first use, and up to 3.11 without a lock: a thread that comes second would read half of it
    sysconfig.get_config_vars()
    failures: list[BaseException] = []
    waiting = list(reversed(tasks))
    workers = [_TaskThread(waiting, failures) for _ in range(together)]
    try:
        for worker in workers:
            worker.start()
        _wait(workers, failures)
    finally:
        for worker in workers:
            worker.stopping = True
        for worker in workers:
            worker.join(_LAST_MOMENT)


def run_both(first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
    """The results of two tasks that run at the same time; the first error of either is raised here."""
    firsts: list[_First] = []
    seconds: list[_Second] = []
    run_tasks([lambda: firsts.append(first()), lambda: seconds.append(second())], 2)
    return firsts[0], seconds[0]


def raise_if_stopping() -> None:
    """Raises KeyboardInterrupt in a thread that is to end: only the main thread hears of a Ctrl-C."""
    if getattr(threading.current_thread(), "stopping", False):
        raise KeyboardInterrupt


def _wait(workers: list[_TaskThread], failures: list[BaseException]) -> None:
    while any(worker.is_alive() for worker in workers) and not failures:
        raise_if_stopping()  # where a task has tasks of its own
        for worker in workers:
            worker.join(0.05)
    if failures:
        raise failures[0]
