"""Messages as people read them: pages, quotes, edits, deletions, reactions, pins, search."""

import pytest
from msgspec import UNSET

from realtime.ports import Listed, Original, Proposal, Reaction, Span, Store
from rooms import commands as c
from rooms.actors import By
from rooms.events import Quote
from tests.realtime.stores.building import ANN, BOB, NOW, Talk, message, talk


async def page(store: Store, viewer: str = "ann", originals: bool = False, **span: int) -> tuple[list[int], bool]:
    found = await store.messages("r1", viewer, Span(**span), originals=originals)
    return [listed.pos for listed in found.messages], found.more


async def one(store: Store, pos: int, viewer: str = "ann", originals: bool = False) -> Listed:
    found = await store.messages("r1", viewer, Span(around=pos, limit=1), originals=originals)
    (listed,) = found.messages
    assert listed.pos == pos
    return listed


@pytest.fixture
async def ten(room: Talk) -> Talk:
    """Ten messages, at positions 2 to 11."""
    for i in range(10):
        await room.send(ANN, f"message {i}")
    return room


async def test_pages(store: Store, ten: Talk) -> None:
    assert await page(store, limit=3) == ([9, 10, 11], True)
    assert await page(store, limit=10) == ([*range(2, 12)], False)
    assert await page(store, before=9, limit=3) == ([6, 7, 8], True)
    assert await page(store, before=4, limit=3) == ([2, 3], False)
    assert await page(store, after=2, limit=3) == ([3, 4, 5], True)
    assert await page(store, after=9, limit=3) == ([10, 11], False)
    assert await page(store, after=0, limit=200) == ([*range(2, 12)], False)
    assert await page(store, around=6, limit=5) == ([4, 5, 6, 7, 8], True)
    assert await page(store, around=2, limit=50) == ([*range(2, 12)], False)


async def test_nothing_below_the_first_position_is_read(store: Store, ten: Talk) -> None:
    assert await page(store, from_pos=9) == ([9, 10, 11], False)
    assert await page(store, from_pos=9, before=10) == ([9], False)
    assert await page(store, from_pos=9, around=3) == ([9, 10, 11], False)
    assert await page(store, from_pos=12) == ([], False)
    found = await store.search("r1", "ann", "message", before=None, limit=50, from_pos=9)
    assert [listed.pos for listed in found.messages] == [11, 10, 9]


async def test_a_room_that_is_not_there_has_no_messages(store: Store) -> None:
    assert await page(store) == ([], False)
    assert (await store.search("r1", "ann", "x", before=None, limit=5, from_pos=1)).messages == ()


async def test_a_message_as_listed(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "hello @ann")
    assert await one(store, pos) == Listed(
        pos=2, n=1, at=room.now, by=By("ann", "Ann", "owner"), text="hello @ann", mentions=("ann",), reactions=()
    )


async def test_quotes_read_as_now(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "long " * 100)
    answer = await room.send(ANN, "answer", reply_to=pos)
    quote = (await one(store, answer)).reply_to
    assert isinstance(quote, Quote)
    assert (quote.pos, quote.by, len(quote.text or "")) == (pos, By("ann", "Ann", "owner"), 200)
    await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="short"))
    assert (await one(store, answer)).reply_to == Quote(pos, By("ann", "Ann", "owner"), "short")
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    assert (await one(store, answer)).reply_to == Quote(pos, deleted=True)


async def test_originals_are_kept_until_the_deletion(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "one")
    sent_at = room.now
    await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="two"))
    edited_at = room.now
    await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="three"))
    listed = await one(store, pos, originals=True)
    assert (listed.text, listed.edited_at) == ("three", room.now)
    assert listed.originals == (Original("one", sent_at), Original("two", edited_at))
    assert (await one(store, pos)).originals is UNSET
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    assert await one(store, pos, originals=True) == Listed(
        pos=pos, n=1, at=sent_at, by=By("ann", "Ann", "owner"), deleted=True
    )


async def test_reactions_in_order_of_appearance(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    pos = await room.send(ANN, "hello")
    for who, emoji in ((ANN, "👍"), (ANN, "🎉"), (BOB, "👍")):
        await room.do(who, c.MessageReact(room="r1", target=pos, emoji=emoji))
    await room.do(ANN, c.MessageUnreact(room="r1", target=pos, emoji="👍"))
    assert (await one(store, pos)).reactions == (Reaction("👍", 1, mine=False), Reaction("🎉", 1, mine=True))
    assert (await one(store, pos, "bob")).reactions == (Reaction("👍", 1, mine=True), Reaction("🎉", 1, mine=False))
    found = (await store.find("r1", messages=[pos])).messages[pos]
    assert found == room.room.messages[pos]
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    found = (await store.find("r1", messages=[pos])).messages[pos]
    assert found is not None
    assert (found.text, found.reactions) == (None, ())


async def test_pins_end(store: Store, room: Talk) -> None:
    first, second, third = [await room.send(ANN, text) for text in "abc"]
    room.now = NOW - 10_000
    await room.do(ANN, c.MessagePin(room="r1", target=first))
    await room.do(ANN, c.MessagePin(room="r1", target=second, seconds=2))
    await room.do(ANN, c.MessagePin(room="r1", target=third, seconds=60))
    assert [(await one(store, pos)).pinned for pos in (first, second, third)] == [True, False, True]
    await room.do(ANN, c.MessageUnpin(room="r1", target=first))
    await room.do(ANN, c.MessageDelete(room="r1", target=third))
    loaded = await store.load("r1")
    assert loaded is not None
    assert loaded.room.pins == room.room.pins == {second: NOW - 6_000}


# Search


async def find(store: Store, query: str, room: str = "r1", **more: int) -> list[int]:
    found = await store.search(room, "ann", query, before=None, limit=50, from_pos=1)
    return [listed.pos for listed in found.messages]


TEXTS = {
    2: "The quick brown Fox",
    3: "quickly, said Zoë",
    4: "你好吗，朋友",
    5: "我今天很好",
    6: "カタカナとひらがな",
    7: "price AND NOT cheap*",
    8: "a\"b ^c text:x NEAR(one two)",
    9: "mixed文字text",
    10: "한국어 메시지",
    11: "吗",
    12: "re-entry C++ v1.2.3",
    13: "ｆｕｌｌｗｉｄｔｈ",
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "positions"),
    [
        ("quick", [3, 2]),
        ("quick fox", [2]),
        ("fox quick", [2]),
        ("QUICK BROWN", [2]),
        ("uick", []),
        ("quick brow", [2]),
        ("qui brown", []),
        ("zoe", [3]),
        ("ZOË", [3]),
        ("你好", [4]),
        ("好吗", [4]),
        ("你好吗", [4]),
        ("你吗", []),
        ("好", [5, 4]),
        ("吗", [11, 4]),
        ("友", [4]),
        ("今天 很好", [5]),
        ("天很", [5]),
        ("ひら", [6]),
        ("カタカナ", [6]),
        ("文字", [9]),
        ("mixed文字text", [9]),
        ("mixed", [9]),
        ("국어", [10]),
        ("and", [7]),
        ("AND", [7]),
        ("quick OR price", []),
        ("NOT price", [7]),
        ("cheap*", [7]),
        ('a"b', [8]),
        ('"', []),
        ("^c", [12, 8, 7]),
        ("text:x", [8]),
        ("NEAR(one", [8]),
        ("NEAR(one two)", [8]),
        ("-fox", [2]),
        ("(", []),
        ("quick !!", [3, 2]),
        ("", []),
        ("   ", []),
        ("\0", []),
        ("re-entry", [12]),
        ("v1.2", [12]),
        ("fullwidth", [13]),
    ],
)
async def test_search(store: Store, room: Talk, query: str, positions: list[int]) -> None:
    for text in TEXTS.values():
        await room.send(ANN, text)
    assert await find(store, query) == positions


async def test_search_stays_in_its_room_and_pages(store: Store, room: Talk) -> None:
    other = await talk(store, "r2")
    for i in range(5):
        await room.send(ANN, f"word {i}")
        await other.send(ANN, f"word {i} elsewhere")
    assert await find(store, "elsewhere") == []
    assert await find(store, "word") == [6, 5, 4, 3, 2]
    first = await store.search("r1", "ann", "word", before=None, limit=2, from_pos=1)
    assert ([listed.pos for listed in first.messages], first.more) == ([6, 5], True)
    rest = await store.search("r1", "ann", "word", before=5, limit=3, from_pos=1)
    assert ([listed.pos for listed in rest.messages], rest.more) == ([4, 3, 2], False)


@pytest.mark.parametrize(
    "rest",
    [
        "x" * 65_000,
        " ".join(map(str, range(12_000))),
        "".join(chr(0x4E00 + i % 20_000) for i in range(65_000)),
        "é" * 65_000,
    ],
    ids=["one word", "many words", "CJK", "accents"],
)
async def test_the_longest_texts_are_kept_and_found(store: Store, room: Talk, rest: str) -> None:
    text = f"needle {rest}"
    await room.append([Proposal((message("r1", 2, ANN, text, 1),), (), None, {}, True, True)])
    assert await find(store, "needle") == [2]
    (listed,) = (await store.messages("r1", "ann", Span(), originals=False)).messages
    assert listed.text == text


async def test_search_finds_what_stands_now(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "before 之前")
    await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="after 以后"))
    assert [await find(store, query) for query in ("before", "之前", "after", "以后")] == [[], [], [pos], [pos]]
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    assert [await find(store, query) for query in ("before", "之前", "after", "以后")] == [[], [], [], []]


async def test_a_search_from_beyond_all_positions_stays_in_its_room(store: Store, room: Talk) -> None:
    """Positions are packed with the room's number in the index: a cursor out of range must not reach the next room."""
    mine = await room.send(ANN, "harmless")
    theirs = await talk(store, "r2", BOB, visibility="private")
    assert await theirs.send(BOB, "secret") == mine
    for before in (2**36, 2**36 + 5, 10**16 - 1, 2**53 - 1):
        found = await store.search("r1", "ann", "secret", before=before, limit=50, from_pos=1)
        assert (found.messages, found.more) == ((), False)
        found = await store.search("r1", "ann", "harmless", before=before, limit=50, from_pos=1)
        assert [listed.pos for listed in found.messages] == [mine]


async def test_quotes_give_no_text_from_below_the_first_position(store: Store, room: Talk) -> None:
    old = await room.send(ANN, "before you came")
    answer = await room.send(ANN, "answer", reply_to=old)
    span = Span(from_pos=answer)
    (listed,) = (await store.messages("r1", "bob", span, originals=False)).messages
    assert listed.reply_to == Quote(old)
    (found,) = (await store.search("r1", "bob", "answer", before=None, limit=5, from_pos=answer)).messages
    assert found.reply_to == Quote(old)
    (read,) = (await store.search("r1", "ann", "answer", before=None, limit=5, from_pos=old)).messages
    assert read.reply_to == Quote(old, By("ann", "Ann", "owner"), "before you came")
