"""Three nodes race each other, and what the log holds is right: sanctions, slow mode, invites, owners, keys."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from realtime.client import Client, CommandError
from tests.support.cluster import Cluster
from tests.support.peer import WAIT, Peer, greeted
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, token

ROUNDS = 5
FLOOD = 40


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("races"), postgres, NO_LIMITS) as cluster:
        yield cluster


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def everywhere(cluster: Cluster, stack: AsyncExitStack, user: str) -> list[Client]:
    """The user on each node."""
    return [await stack.enter_async_context(Client(node.url, token=token(user))) for node in cluster.nodes]


async def new_room(owner: Client, **settings: Any) -> str:
    reply = await owner.command("room.create", kind="group", title="Race", visibility="public", settings=settings)
    return str(reply["room"]["id"])


async def outcome(client: Client, type: str, /, **fields: Any) -> dict[str, Any] | str:
    """The reply, or the code of the refusal. Where a room is too busy to decide, the command is given again."""
    while True:
        try:
            return await client.command(type, **fields)
        except CommandError as error:
            if error.code != "unavailable":
                return error.code
            await asyncio.sleep((error.retry_after_ms or 0) / 1_000)


def told(outcomes: Sequence[dict[str, Any] | str], code: str) -> list[dict[str, Any]]:
    """Those who succeeded; all others were refused with the code."""
    assert all(isinstance(one, dict) or one == code for one in outcomes), outcomes
    return [one for one in outcomes if isinstance(one, dict)]


async def known(clients: Sequence[Client], room: str, done: dict[str, Any]) -> None:
    """Returns when all nodes have heard of what was done: until then one may refuse what that allows."""
    async with asyncio.timeout(WAIT):
        for client in clients:
            while (await client.command("room.events", room=room))["pos"] < done["pos"]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def whole_log(client: Client, room: str) -> list[dict[str, Any]]:
    """As far as it goes now, though the client's node be behind: the list of rooms comes from the store."""
    rooms = (await client.command("room.list", limit=200))["rooms"]
    (to,) = [one["pos"] for one in rooms if one["id"] == room]
    await known([client], room, {"pos": to})
    log: list[dict[str, Any]] = []
    while True:
        page = await client.command("room.events", room=room, after=len(log), limit=200)
        log += page["events"]
        if not page["more"]:
            assert [event["pos"] for event in log] == list(range(1, len(log) + 1))
            return log


async def test_nothing_of_the_banned_comes_after_the_ban(cluster: Cluster, stack: AsyncExitStack) -> None:
    """They flood from all nodes; on each their subscription of the room ends."""
    owner = (await everywhere(cluster, stack, "owner"))[1]
    for number in range(ROUNDS):
        user, room = f"flooder-{number}", await new_room(owner)
        floods = await everywhere(cluster, stack, user)
        listening = [await stack.enter_async_context(greeted(node.url, token(user))) for node in cluster.nodes]
        await known(floods, room, await floods[0].command("member.join", room=room))
        for peer in listening:
            await peer.ok("room.join", room=room)
        begun = asyncio.Event()

        async def flood(client: Client, room: str = room, begun: asyncio.Event = begun) -> str:
            while True:
                sent = await asyncio.gather(
                    *(outcome(client, "message.send", room=room, text="flood") for _ in range(FLOOD))
                )
                begun.set()
                refused = [one for one in sent if isinstance(one, str)]
                if refused:
                    assert set(refused) <= {"banned"}, refused
                    return refused[0]

        flooding = [asyncio.create_task(flood(client)) for client in floods]
        await begun.wait()
        ban = await owner.command("member.ban", room=room, user=user)
        await asyncio.gather(*flooding)
        for peer in listening:
            assert (await peer.event("room.removed"))["code"] == "banned"
            await heard_nothing_after(peer, ban["pos"])
        log = await whole_log(owner, room)
        assert log[ban["pos"] - 1]["type"] == "member.banned"
        assert [event for event in log[: ban["pos"]] if event["by"]["id"] == user]
        assert not [event for event in log[ban["pos"] :] if event["by"]["id"] == user]


async def heard_nothing_after(peer: Peer, pos: int) -> None:
    assert max(event["pos"] for event in await peer.settled() if event.get("type") == "message.created") < pos


async def test_slow_mode_holds_on_all_nodes_together(cluster: Cluster, stack: AsyncExitStack) -> None:
    owner = (await everywhere(cluster, stack, "owner"))[0]
    room = await new_room(owner, slow_seconds=600)
    for number in range(ROUNDS):
        clients = await everywhere(cluster, stack, f"slow-{number}")
        await known(clients, room, await clients[0].command("member.join", room=room))
        sent = await asyncio.gather(
            *(outcome(client, "message.send", room=room, text=f"{number}") for client in clients * 3)
        )
        assert len(told(sent, "slow_mode")) == 1
    log = await whole_log(owner, room)
    assert len([event for event in log if event["type"] == "message.created"]) == ROUNDS


async def test_the_last_use_of_an_invite_is_one(cluster: Cluster, stack: AsyncExitStack) -> None:
    owner = (await everywhere(cluster, stack, "owner"))[0]
    for number in range(ROUNDS):
        room = await new_room(owner, invite_only=True)
        code = (await owner.command("invite.create", room=room, uses=2))["code"]
        guests = [(await everywhere(cluster, stack, f"guest-{number}-{one}"))[one % 3] for one in range(6)]
        taken = await asyncio.gather(*(outcome(guest, "invite.accept", code=code) for guest in guests))
        assert len(told(taken, "not_found")) == 2
        log = await whole_log(owner, room)
        assert len([event for event in log if event["type"] == "member.joined"]) == 2


@pytest.mark.parametrize("how", ["leave", "step down", "each other"])
async def test_a_room_keeps_an_owner(cluster: Cluster, stack: AsyncExitStack, how: str) -> None:
    for number in range(ROUNDS):
        first, second = f"first-{number}", f"second-{number}"
        one, other = (await everywhere(cluster, stack, first))[0], (await everywhere(cluster, stack, second))[2]
        room = await new_room(one)
        await other.command("member.join", room=room)
        await known([one, other], room, await one.command("member.role", room=room, user=second, role="owner"))
        match how:
            case "leave":
                both = [outcome(client, "member.leave", room=room) for client in (one, other)]
            case "step down":
                both = [
                    outcome(client, "member.role", room=room, user=user, role="member")
                    for client, user in ((one, first), (other, second))
                ]
            case _:
                both = [
                    outcome(client, "member.role", room=room, user=user, role="member")
                    for client, user in ((one, second), (other, first))
                ]
        done = told(await asyncio.gather(*both), "forbidden")
        assert len(done) == 1
        owners = (await one.command("member.list", room=room, role="owner"))["members"] if how != "leave" else None
        log = await whole_log(one, room)
        assert len([event for event in log if event["type"] in ("member.left", "member.role")]) == 2
        assert owners is None or len(owners) == 1


async def test_a_key_takes_effect_once_on_whatever_nodes(cluster: Cluster, stack: AsyncExitStack) -> None:
    clients = await everywhere(cluster, stack, "owner")
    room = await new_room(clients[0])
    for number in range(ROUNDS):
        replies = told(
            await asyncio.gather(
                *(outcome(client, "message.send", room=room, text="once", key=f"{number}") for client in clients * 3)
            ),
            "never",
        )
        assert len({reply["pos"] for reply in replies}) == 1
        assert len([reply for reply in replies if not reply.get("duplicate")]) == 1
    made = told(
        await asyncio.gather(
            *(
                outcome(client, "room.create", kind="group", title="Once", visibility="private", key="made")
                for client in clients
            )
        ),
        "never",
    )
    assert len({reply["room"]["id"] for reply in made}) == 1
    log = await whole_log(clients[0], room)
    assert len([event for event in log if event["type"] == "message.created"]) == ROUNDS
