"""A text that was edited or deleted is in no file of the data folder."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from realtime.ports import Proposal, Span
from rooms import commands as c
from rooms import effects as x
from tests.realtime.stores.building import ANN, NOW, talk
from tests.realtime.stores.conftest import MakeStore

WORDS = ("Xylophonequark", "zebrafishomatic", "秘密暗号")
SECRET = "my Xylophonequark and zebrafishomatic 秘密暗号"
FILLER = [f"filler {i} zebra xylem 秘書 {i * 7919}" for i in range(300)]


def traces(folder: Path) -> set[str]:
    """Which of the secret's words, in any case, the folder's files hold."""
    content = b"".join(path.read_bytes() for path in folder.iterdir()).lower()
    needles = {word: word.lower().encode() for word in WORDS}
    needles |= {f"{word}, but its beginning": word.lower()[3:].encode() for word in WORDS[:2]}
    needles |= {f"{word} in pairs": word[:2].encode() for word in WORDS[2:]}
    return {word for word, needle in needles.items() if needle in content}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - files tell nobody that they have changed
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("how", ["edited and deleted", "deleted"])
async def test_a_text_that_was_taken_away_is_in_no_file(
    make_store: MakeStore, tmp_path: Path, how: str, indexed: bool
) -> None:
    store = make_store()
    await store.open()
    room = await talk(store)
    for text in FILLER[:150]:
        await room.send(ANN, text)
    pos = await room.send(ANN, SECRET)
    answer = await room.send(ANN, "answer", reply_to=pos)
    for text in FILLER[150:]:
        await room.send(ANN, text)
    assert traces(tmp_path) >= set(WORDS)
    if indexed:
        assert (await store.search("r1", "ann", WORDS[0], before=None, limit=9, from_pos=1)).messages
    if how == "edited and deleted":
        await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="harmless"))
        assert WORDS[0] in traces(tmp_path)  # its original, for moderators
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    await until(lambda: not traces(tmp_path))
    assert not (await store.search("r1", "ann", WORDS[0], before=None, limit=9, from_pos=1)).messages
    quoted = await store.messages("r1", "ann", Span(around=answer, limit=1), originals=True)
    assert SECRET not in str(quoted)
    await store.close()
    assert not traces(tmp_path)


async def test_an_edited_text_leaves_the_index(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    await store.open()
    room = await talk(store)
    pos = await room.send(ANN, SECRET)
    await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="harmless"))
    await store.run(lambda tx: tx.raw.execute("DELETE FROM originals"))
    await store.close()
    assert not traces(tmp_path)


async def test_a_denied_message_is_in_no_file(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    await store.open()
    room = await talk(store)
    waiting = x.Pending(id="p", room="r1", kind="held", actor=ANN, at=NOW, text=SECRET)
    await room.append([Proposal((), (x.AddPending(waiting, 9),), None, {}, False, False)])
    assert WORDS[0] in traces(tmp_path)
    await room.append([Proposal((), (x.TakePending("p", "ann", "denied"),), None, {}, False, False)])
    await until(lambda: not traces(tmp_path))
