"""Threads that may be stuck, and hold nothing up."""

import asyncio
import subprocess
import sys
import threading

import pytest

from relay.threads import DaemonExecutor

STUCK = """
import asyncio, sys, threading
from relay.threads import DaemonExecutor

async def main():
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    def stuck():
        loop.call_soon_threadsafe(begun.set)
        threading.Event().wait()
    asyncio.ensure_future(loop.run_in_executor(DaemonExecutor(1, "stuck"), stuck))
    await begun.wait()

asyncio.run(main())
print("over")
"""


def test_a_process_ends_though_they_are_stuck() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, timeout=30, check=True)
    assert done.stdout == b"over\n"


async def test_what_is_done_in_them_is_heard() -> None:
    loop, threads = asyncio.get_running_loop(), DaemonExecutor(2, "some")

    def fail() -> None:
        raise KeyError("found nothing")

    assert await asyncio.gather(*(loop.run_in_executor(threads, pow, 2, n) for n in range(50))) == [
        2**n for n in range(50)
    ]
    with pytest.raises(KeyError, match="found nothing"):
        await loop.run_in_executor(threads, fail)
    assert await loop.run_in_executor(threads, len, "still there") == 11


async def test_there_are_so_many_and_they_end_with_their_executor() -> None:
    loop, threads = asyncio.get_running_loop(), DaemonExecutor(3, "of this test")
    go_on, begun, given_up = threading.Event(), threading.Semaphore(0), threading.Event()

    def wait() -> str:
        begun.release()
        go_on.wait()
        return threading.current_thread().name

    def mine() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "of this test"]

    works = [loop.run_in_executor(threads, wait) for _ in range(5)]
    late = loop.run_in_executor(threads, given_up.set)
    for _ in range(3):
        assert await asyncio.to_thread(begun.acquire, timeout=20)
    assert len(mine()) == 3
    late.cancel()
    await asyncio.sleep(0)  # the loop tells the executor's future with its next turn
    go_on.set()
    assert await asyncio.gather(*works) == ["of this test"] * 5
    assert not given_up.is_set()
    del threads
    async with asyncio.timeout(20):
        while mine():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
