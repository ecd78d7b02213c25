"""Workers that die, fail, hang and are replaced, under clients that keep connecting."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.ports import free_port
from realtime.notify import VARIABLE

PATIENCE = 30.0
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
Who = tuple[int, int]
"""A worker: its slot and process id."""


class Supervised:
    """The program, with what it has said on its output and in its log so far."""

    def __init__(self, process: asyncio.subprocess.Process):
        self.process = process
        self.port = 0
        self.said: list[str] = []
        self.log: list[dict[str, Any]] = []
        self._heard = asyncio.Condition()
        self._reading = [
            asyncio.create_task(self._read(process.stdout)),
            asyncio.create_task(self._read(process.stderr)),
        ]

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        async for raw in stream:
            line = raw.decode().strip()
            async with self._heard:
                if line.startswith("{"):
                    self.log.append(json.loads(line))
                else:
                    self.said.append(line)
                self._heard.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for something in its output."""
        async with asyncio.timeout(PATIENCE), self._heard:
            await self._heard.wait_for(condition)

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    async def ready(self) -> None:
        def told() -> bool:
            found = [match for line in self.said if (match := re.search(r"ready.*:(\d+)/", line))]
            self.port = int(found[0][1]) if found else 0
            return bool(found)

        await self.until(told)

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
            await asyncio.gather(*self._reading)
            return code

    async def ask(self) -> Who:
        return await who(self.port)

    async def workers(self, count: int, *, but: set[Who] = frozenset()) -> set[Who]:  # type: ignore[assignment]
        """Asks until that many have answered, none of `but` among the last answers."""
        found: set[Who] = set()
        async with asyncio.timeout(PATIENCE):
            while len(found - but) < count:
                found.add(await self.ask())
        return found - but


async def who(port: int) -> Who:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(GET)
        answer = await reader.read()
    finally:
        writer.close()
    assert answer, "closed without an answer"
    slot, pid = answer.rpartition(b"\r\n")[2].split()
    return int(slot), int(pid)


@asynccontextmanager
async def supervised(folder: Path, *options: str, environ: dict[str, str] | None = None) -> AsyncIterator[Supervised]:
    command = [sys.executable, "-m", "tests.realtime.supervised", str(folder), *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=os.environ | (environ or {}))
    program = Supervised(process)
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await program.ended()


@asynccontextmanager
async def asking(program: Supervised) -> AsyncIterator[list[Who]]:
    """Meanwhile four clients connect, ask and go, again and again; any error of theirs is raised at the end."""
    answers: list[Who] = []
    done = False

    async def ask() -> None:
        while not done:
            answers.append(await program.ask())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(ask())
        yield answers
        done = True


async def gone(pids: set[int]) -> None:
    """Returns when none of these processes runs any more; whoever started them has to look after what is left."""
    loop = asyncio.get_running_loop()
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended = asyncio.Event()
        loop.add_reader(handle, ended.set)
        try:
            await asyncio.wait_for(ended.wait(), PATIENCE)
        finally:
            loop.remove_reader(handle)
            os.close(handle)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_workers_share_a_port_and_end_together(tmp_path: Path, number: signal.Signals) -> None:
    async with supervised(tmp_path, "--workers=3") as program:
        await program.ready()
        workers = await program.workers(3)
        assert {slot for slot, _ in workers} == {0, 1, 2}
        program.tell(number)
        assert await program.ended() == 0
        await gone({pid for _, pid in workers})
        assert len(program.said) == 1
        assert not program.logged("worker_died")


async def test_who_waits_for_a_worker_that_is_killed_is_served_by_the_next(tmp_path: Path) -> None:
    async with supervised(tmp_path) as program:
        await program.ready()
        workers = await program.workers(2)
        slot, pid = min(workers)
        os.kill(pid, signal.SIGSTOP)  # who comes now to its slot waits there
        waiting = [asyncio.create_task(program.ask()) for _ in range(40)]
        answered, _ = await asyncio.wait(waiting, timeout=0.5)
        assert len(answered) < len(waiting)
        async with asking(program) as meanwhile:
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE):
                answers = set(await asyncio.gather(*waiting))
            ((other, _),) = {who for who in answers if who[0] == slot}
            assert other == slot
            assert pid not in {pid for _, pid in answers}
            meanwhile.clear()
            await program.workers(2, but={(slot, pid)})
        (died,) = program.logged("worker_died")
        assert (died["slot"], died["pid"], died["code"]) == (slot, pid, -signal.SIGKILL)


async def test_a_worker_that_cannot_start_ends_the_whole(tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    async with supervised(tmp_path) as program:
        assert await program.ended() == 3
        assert program.said == []


async def test_all_are_replaced_and_nobody_notices(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--workers=3") as program:
        await program.ready()
        before = await program.workers(3)
        async with asking(program):
            program.tell(signal.SIGHUP)
            await program.until(lambda: program.logged("restarted"))
        after = await program.workers(3)
        assert {slot for slot, _ in after} == {0, 1, 2}
        assert not before & after
        await gone({pid for _, pid in before})
        program.tell(signal.SIGTERM)
        assert await program.ended() == 0


async def test_the_old_one_serves_its_clients_out(tmp_path: Path) -> None:
    async with supervised(tmp_path) as program:
        await program.ready()
        before = await program.workers(2)
        reader, writer = await asyncio.open_connection("127.0.0.1", program.port)

        async def again() -> bytes:
            writer.write(GET.replace(b"Connection: close\r\n", b""))
            head = await reader.readuntil(b"\r\n\r\n")
            return await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))  # type: ignore[index]

        mine = await again()
        (tmp_path / "hold").touch()
        program.tell(signal.SIGHUP)
        new = await program.workers(1, but=before)
        assert {slot for slot, _ in new} == {0}
        assert await again() == mine
        (tmp_path / "hold").unlink()
        await program.until(lambda: program.logged("restarted"))
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("fault", ["fail", "stall"])
async def test_a_restart_stops_where_the_new_one_is_no_good(tmp_path: Path, fault: str) -> None:
    async with supervised(tmp_path, "--ready-seconds=2") as program:
        await program.ready()
        before = await program.workers(2)
        (tmp_path / fault).touch()
        async with asking(program) as answers:
            program.tell(signal.SIGHUP)
            await program.until(lambda: program.logged("restart_given_up"))
        assert set(answers) <= before
        assert await program.workers(2) == before
        (tmp_path / fault).unlink()
        program.tell(signal.SIGHUP)
        await program.until(lambda: program.logged("restarted"))
        await program.workers(2, but=before)


async def test_nobody_waits_for_a_worker_that_dies_again_and_again(tmp_path: Path) -> None:
    async with supervised(tmp_path) as program:
        await program.ready()
        workers = await program.workers(2)
        (tmp_path / "die-1").touch()
        os.kill(dict(workers)[1], signal.SIGKILL)
        await program.until(lambda: len(program.logged("worker_died")) == 3)
        for _ in range(50):
            slot, _ = await program.ask()
            assert slot == 0
        (tmp_path / "die-1").unlink()
        await program.workers(2)
        assert [line["code"] for line in program.logged("worker_died")] == [-signal.SIGKILL, 7, 7]


async def test_workers_do_not_outlive_the_supervisor(tmp_path: Path) -> None:
    async with supervised(tmp_path) as program:
        await program.ready()
        workers = await program.workers(2)
        program.tell(signal.SIGKILL)
        await gone({pid for _, pid in workers})
        with pytest.raises(ConnectionRefusedError):
            await program.ask()
        assert {line["event"] for line in program.log} >= {"supervisor_gone"}


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with supervised(tmp_path) as program:
        await program.ready()
        workers = await program.workers(2)
        (tmp_path / "hold").touch()
        program.tell(signal.SIGTERM)
        await program.workers(2)  # still listening
        program.tell(signal.SIGTERM)
        assert await program.ended() == 0
        await gone({pid for _, pid in workers})


async def test_a_worker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    async with supervised(tmp_path, "--grace-seconds=0.5") as program:
        await program.ready()
        _, pid = min(await program.workers(2))
        os.kill(pid, signal.SIGSTOP)
        program.tell(signal.SIGTERM)
        assert await program.ended() == 0
        assert pid in [line["pid"] for line in program.logged("worker_killed")]


async def test_a_port_that_others_share_is_in_use(tmp_path: Path) -> None:
    async with supervised(tmp_path) as program:
        await program.ready()
        async with supervised(tmp_path, f"--port={program.port}") as second:
            assert await second.ended() == 1
            (line,) = second.logged("cannot_start")
            assert f"cannot listen on 127.0.0.1 port {program.port}" in line["reason"]


async def test_each_has_a_port_where_it_alone_answers(tmp_path: Path) -> None:
    first = free_port(1)
    async with supervised(tmp_path, f"--admin-port={first}") as program:
        await program.ready()
        for slot in (0, 1):
            assert {(await who(first + slot))[0] for _ in range(10)} == {slot}
        before = await program.workers(2)
        program.tell(signal.SIGHUP)
        await program.until(lambda: program.logged("restarted"))
        assert {await who(first), await who(first + 1)} == await program.workers(2, but=before)


async def test_the_service_manager_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)
        loop = asyncio.get_running_loop()

        async def told() -> bytes:
            return await asyncio.wait_for(loop.sock_recv(manager, 100), PATIENCE)

        async with supervised(tmp_path, environ={VARIABLE: str(path)}) as program:
            assert await told() == b"READY=1"
            await program.ready()
            program.tell(signal.SIGHUP)
            assert [await told(), await told()] == [b"RELOADING=1", b"READY=1"]
            program.tell(signal.SIGTERM)
            assert await told() == b"STOPPING=1"
            assert await program.ended() == 0
        assert not program.logged("not_notified")


async def test_a_service_manager_that_is_gone_is_done_without(tmp_path: Path) -> None:
    async with supervised(tmp_path, environ={VARIABLE: str(tmp_path / "nowhere")}) as program:
        await program.ready()
        await program.until(lambda: program.logged("not_notified"))
        await program.workers(2)
