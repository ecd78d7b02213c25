"""What the connections of one process do when told: a table from order to method."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from loadtest import orders as o
from loadtest.client import Client
from loadtest.crowd import Crowd, each
from loadtest.people import BACK_WITHIN, People, deeds
from loadtest.rooms import rooms_of, senders_of
from loadtest.schedule import SECOND, turns, zipf
from loadtest.texts import say, texts
from loadtest.waiting import holds, until


class Tasks:
    def __init__(self, crowd: Crowd):
        self._crowd = crowd
        self._texts = texts(crowd.options.text)
        self.table: dict[type, Callable[[Any], Awaitable[object]]] = {
            o.Connect: self._connect,
            o.Join: self._join,
            o.Send: self._send,
            o.Act: self._act,
            o.StopReading: self._stop_reading,
            o.ReadAgain: self._read_again,
            o.Settle: self._settle,
            o.CatchUp: self._catch_up,
            o.Drop: self._drop,
            o.Return: self._return,
        }

    async def _connect(self, order: o.Connect) -> None:
        await self._crowd.connect()

    async def _join(self, order: o.Join) -> None:
        self._crowd.rooms = order.rooms
        await self._crowd.join()

    # Sending

    async def _send(self, order: o.Send) -> None:
        crowd, schedule = self._crowd, order.schedule
        options = crowd.options
        crowd.deliveries.timing = order.timed
        weights = zipf(options.senders) if order.zipf else None
        senders = senders_of(options)
        for i, sender in enumerate(turns(schedule.count, options.senders, weights, options.seed + order.first)):
            number = senders[sender]
            if number not in crowd.numbers:
                continue
            due = schedule.due(i)
            await until(due)
            client = crowd.client(number)
            if client.connected:
                rooms = rooms_of(options, number)
                room = crowd.rooms[rooms[i // options.senders % len(rooms)]]
                n = order.first + i
                text = self._texts[n % len(self._texts)]
                crowd.say(client, room, say(due if order.timed else 0, n, text), str(n), due if order.timed else 0)
        await until(schedule.end)

    async def _act(self, order: o.Act) -> None:
        crowd, schedule = self._crowd, order.schedule
        crowd.deliveries.timing = True
        people = People(crowd)
        seed = crowd.options.seed + order.first
        for i, deed in enumerate(deeds(schedule.count, crowd.options.connections, seed)):
            if deed.number in crowd.numbers:
                due = schedule.due(i)
                await until(due)
                people.do(deed, due, order.first + i)
        await until(schedule.end)
        await people.all_back()

    # Slow readers

    async def _stop_reading(self, order: o.StopReading) -> int:
        crowd = self._crowd
        senders = set(senders_of(crowd.options))
        listeners = [number for number in crowd.numbers if number not in senders]
        for number in listeners[:: round(1 / crowd.options.stopped)]:
            client = crowd.client(number)
            crowd.absent.add(client)
            client.stop_reading()
        return len(crowd.absent)

    async def _read_again(self, order: o.ReadAgain) -> None:
        crowd = self._crowd
        now = time.monotonic_ns()
        for client in crowd.absent:
            client.drop()
        await each(crowd.absent, lambda client: crowd.come_back(client, now, now + int(BACK_WITHIN * SECOND)))
        crowd.absent.clear()

    # Holding what came to what was sent

    async def _settle(self, order: o.Settle) -> o.Settled:
        clients = self._crowd.clients
        if not await holds(lambda: not any(client.busy for client in clients), order.patience):
            count = sum(client.busy for client in clients)
            self._crowd.fail("lost", f"{count} connections wait for a reply after {order.patience:g} s")
        rooms, self._crowd.acknowledged = self._crowd.acknowledged, {}
        for place in self._crowd.places():
            part = rooms.setdefault(place.stream.room, o.Acknowledged())
            part.pos = max(part.pos, place.reached)
        return o.Settled(rooms, self._crowd.last_answer)

    async def _catch_up(self, order: o.CatchUp) -> o.CaughtUp:
        behind = list(self._crowd.places())

        def all_caught_up() -> bool:
            behind[:] = [place for place in behind if place.reached < order.positions.get(place.stream.room, 0)]
            return not behind

        if not await holds(all_caught_up, order.patience):
            for place in behind:
                room = place.stream.room
                text = f"room {room}: {place.who} has come to {place.reached} of {order.positions[room]}"
                self._crowd.fail("hole", text)
        self._crowd.tidy(at_once=True)
        return o.CaughtUp({room: stream.settle() for room, stream in self._crowd.streams.items()})

    # Storms

    async def _drop(self, order: o.Drop) -> None:
        for client in self._crowd.clients:
            client.drop()

    async def _return(self, order: o.Return) -> o.Returned:
        crowd = self._crowd
        chance = random.Random(f"{crowd.options.seed} {crowd.numbers}")  # noqa: S311 - repeatable on purpose
        window = int(order.window * SECOND)
        plan = sorted((order.start + chance.randrange(window + 1), i) for i in range(len(crowd.clients)))
        limit = order.start + int(order.patience * SECOND)
        crowd.retries = 0
        async with asyncio.TaskGroup() as group:
            for due, i in plan:
                await until(due)
                group.create_task(self._come_back(crowd.clients[i], due, limit))
        return o.Returned(time.monotonic_ns(), crowd.retries)

    async def _come_back(self, client: Client, due: int, limit: int) -> None:
        try:
            async with asyncio.timeout((limit - time.monotonic_ns()) / SECOND):
                await self._crowd.come_back(client, due, limit)
        except TimeoutError:
            self._crowd.fail("lost", f"{client.user} has not come back")
        except Exception as error:
            self._crowd.fail("lost", str(error))
