"""Threads for what may be stuck: a disk or a name server that does not answer."""

import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Works = SimpleQueue[Callable[[], None] | None]


class DaemonExecutor(Executor):
    """For `loop.run_in_executor`: `threads` at most, made when they are needed. A `ThreadPoolExecutor` has its own
    waited for by the process, before it ends, for as long as they are stuck; these it leaves. Who submits bounds what
    waits.
    """

    def __init__(self, threads: int, name: str):
        self._left, self._name = threads, name
        self._idle = Semaphore(0)
        self._works: _Works = SimpleQueue()
        weakref.finalize(self, self._works.put, None)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._works.put(partial(_work, future, partial(fn, *args, **kwargs)))
        if not self._idle.acquire(blocking=False) and self._left:
            self._left -= 1
            Thread(target=_run, args=(self._works, self._idle), name=self._name, daemon=True).start()
        return future


def _run(works: _Works, idle: Semaphore) -> None:
    """Until the executor is forgotten."""
    while (work := works.get()) is not None:
        work()
        del work
        idle.release()
    works.put(None)  # for the next thread


def _work(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
