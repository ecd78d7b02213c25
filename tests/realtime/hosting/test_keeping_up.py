"""A room of which another node writes the log: it goes on event by event, reads what is missing, or begins anew."""

import asyncio
from typing import Any

import pytest

from realtime import ports
from realtime.hosting import keeping_up
from realtime.ports.carried import Beacon, Committed
from rooms import commands as c
from rooms.actors import By
from rooms.events import MessagePinned
from tests.realtime.hosting.two_nodes import ANN, NOW, OWNER, ROOM, SECONDS, Node, until


async def test_a_hole_is_read_from_the_log(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    here.broker.go()
    await here.say()
    here.broker.up = True
    pos = await here.say()
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.view.pos == pos
    assert there.counters == keeping_up.Counters(reads=1)


async def test_a_room_too_far_behind_begins_anew(nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = nodes
    monkeypatch.setattr(keeping_up, "MOST_READ", 3)
    there.broker.go()
    for _ in range(5):
        pos = await here.say()
    there.hear(Beacon(there.view.epoch, pos))
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.counters.resets == 1
    assert (there.view.pos, there.view.types) == (pos, {})
    there.broker.up = True
    pos = await here.say()
    await until(lambda: there.pos == pos)
    there.service.hub.flush_all()
    assert there.view.pos == pos


async def test_who_was_banned_meanwhile_hears_no_more_of_a_room_that_begins_anew(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes
    monkeypatch.setattr(keeping_up, "MOST_READ", 1)
    there.broker.go()
    await here.service.answer(OWNER, c.MemberBan(room=ROOM, user="ann"))
    pos = await here.say()
    there.hear(Beacon(there.view.epoch, pos))
    await until(lambda: not there.view.joined)
    assert not there.service.hub.listening(ROOM, there.view)


async def test_another_epoch_is_a_room_that_begins_anew(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, there = nodes
    load = there.store.load

    async def restored(room: str) -> ports.Loaded | None:
        loaded = await load(room)
        assert loaded is not None
        return ports.Loaded(loaded.room, "another", loaded.first_pos)

    monkeypatch.setattr(there.store, "load", restored)
    there.hear(Committed("another", ()))
    await until(lambda: there.service.directory.hosts[ROOM].epoch == "another")
    there.service.hub.flush_all()
    assert there.view.epoch == "another"
    assert there.counters.resets == 1


async def test_a_log_that_lacks_what_was_heard_is_not_read_all_the_time(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover that has lost something."""
    _, there = nodes
    monkeypatch.setattr(keeping_up, "AGAIN_SECONDS", 1_000.0)
    by = By("owner", "Owner", "owner")
    there.hear(Committed(there.view.epoch, (MessagePinned(room=ROOM, pos=there.pos + 2, at=NOW, by=by, target=1),)))
    host = there.service.directory.hosts[ROOM]
    await until(lambda: there.counters.reads == 1 and not host.busy)
    look = host.log._look
    assert look is not None
    assert look.when() > asyncio.get_running_loop().time() + SECONDS


async def test_who_comes_from_another_node_may_know_more_than_this_one(nodes: tuple[Node, Node]) -> None:
    """The room has not gone back for them: what is missing here is read from the log first."""
    here, there = nodes
    there.broker.go()
    pos = await here.say()
    assert there.pos < pos
    epoch = there.view.epoch
    there.service.hub.remove(ROOM, there.view)
    there.view.begin(pos, epoch)
    reply = await there.listen(c.Since(epoch, pos))
    assert (reply["recovered"], reply["events"], reply["pos"]) == (True, [], pos)
    # Nor does a position that no log holds keep anybody waiting.
    reply = await there.listen(c.Since(epoch, pos + 1_000))
    assert (reply["recovered"], reply["pos"]) == (False, pos)


async def test_what_was_read_on_another_node_is_marked_on_one_that_is_behind(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    await here.service.answer(ANN, c.MemberJoin(room=ROOM))
    await until(lambda: there.pos == 2)
    there.broker.go()
    pos = await here.say()
    (state,) = (await there.service.answer(ANN, c.ReadMark(room=ROOM, pos=pos)))["rooms"]
    assert (state["read_pos"], state["unread"]) == (pos, 0)


async def test_who_comes_from_another_node_waits_for_a_store_that_fails(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes
    there.broker.go()
    pos = await here.say()

    async def gone(room: str, **span: int) -> Any:
        raise ports.Unavailable("gone", 10)

    with monkeypatch.context() as patch:
        patch.setattr(there.store, "events", gone)
        with pytest.raises(ports.Unavailable):
            await there.listen(c.Since(there.view.epoch, pos))
    there.service.hub.remove(ROOM, there.view)
    there.view.begin(pos, there.view.epoch)
    assert (await there.listen(c.Since(there.view.epoch, pos)))["recovered"]


async def test_a_commit_whose_answer_is_lost_is_found_without_any_command(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who listen on either node hear of it."""
    here, there = nodes
    await here.listen()
    monkeypatch.setattr(keeping_up, "AGAIN_SECONDS", 0.02)
    append = here.store.append_all

    async def silent(batches: Any) -> Any:
        await append(batches)
        raise ports.Unavailable("no answer", 10)

    with monkeypatch.context() as patch:
        patch.setattr(here.store, "append_all", silent)
        with pytest.raises(Exception, match="Try again"):
            await here.say("perhaps")
    for node in (here, there):
        await until(lambda node=node: node.pos == 2)  # type: ignore[misc]  # a default is no argument
        node.service.hub.flush_all()
        assert (node.view.pos, node.view.texts) == (2, {2: "perhaps"})


async def test_own_events_come_before_what_others_have_written_after_them(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the other node's message is here before this node's own commit is."""
    here, there = nodes
    await here.listen()
    append = here.store.append_all
    written = asyncio.Event()
    go_on = asyncio.Event()

    async def late(batches: Any) -> Any:
        outcomes = await append(batches)
        written.set()
        await go_on.wait()
        return outcomes

    monkeypatch.setattr(here.store, "append_all", late)
    saying = asyncio.create_task(here.say("first"))
    await written.wait()
    pos = await there.say("second")
    host = here.service.directory.hosts[ROOM]
    await until(lambda: host.log._heard.pos == pos)
    go_on.set()
    await saying
    await until(lambda: here.pos == pos)
    here.service.hub.flush_all()
    assert (here.view.pos, here.view.texts) == (3, {2: "first", 3: "second"})
