"""`unique`: a user's repeats are refused however much was said in between, and after a restart."""

import itertools
from pathlib import Path

import pytest

from realtime.stores.sqlite import SQLiteStore
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from rooms.settings import SettingsPatch
from tests.support.service import make_service

OWNER = Actor(user="owner", name="Owner")
BOB = Actor(user="bob", name="Bob")
ROOM = "r"


async def test_a_repeat_that_is_no_longer_at_hand(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "galaxy.db", itertools.count(1_700_000_000_000).__next__)
    await store.open()
    clock = itertools.count(1_700_000_000_000, 10).__next__
    service = make_service(store, clock)
    admin = Actor(user="owner", name="Owner", admin=True)
    settings = SettingsPatch(unique=True)
    made = c.RoomCreate(kind="live", title="R", visibility="public", room=ROOM, settings=settings)
    await service.answer(admin, made)
    first = await service.answer(BOB, c.MessageSend(room=ROOM, text="again", key="k"))
    for number in range(60):
        await service.answer(OWNER, c.MessageSend(room=ROOM, text=str(number)))
    # As after a restart: the room is loaded with its latest messages only.
    service.directory.hosts.clear()
    with pytest.raises(Rejected) as caught:
        await service.answer(BOB, c.MessageSend(room=ROOM, text="again"))
    assert (caught.value.code, caught.value.field) == ("duplicate_text", "text")
    assert caught.value.retry_after_ms
    repeated = await service.answer(BOB, c.MessageSend(room=ROOM, text="again", key="k"))
    assert repeated == first | {"duplicate": True}
    await service.answer(BOB, c.MessageSend(room=ROOM, text="something else"))
    await service.close()
