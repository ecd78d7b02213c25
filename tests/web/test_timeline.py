"""The timeline: quick with any length of history, still where the reader looks, current at the end."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

HARNESS = (Path(__file__).parent / "harness.js").read_text(encoding="utf-8")
COUNT = 100_000
LOADED = 300
TOP = """() => {
  const top = scroller.getBoundingClientRect().top;
  for (const row of timeline.list.querySelectorAll("li.message")) {
    const box = row.getBoundingClientRect();
    if (box.bottom > top) return { pos: Number(row.dataset.pos), at: Math.round(box.top - top) };
  }
}"""
QUIET = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


def show(page: Page, count: int = COUNT, **options: Any) -> None:
    page.evaluate(HARNESS, {"count": count, "role": "owner", **options})


def rows(page: Page) -> list[int]:
    positions: list[int] = page.evaluate("() => rows()")
    return positions


@pytest.fixture
def history(page: Page) -> Page:
    show(page)
    return page


def test_opens_at_the_end_and_reports_it_as_seen(history: Page) -> None:
    assert rows(history)[-1] == 2 * COUNT
    assert history.evaluate("() => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight") < 2
    assert history.evaluate("() => seen") == 2 * COUNT


def test_scrolling_far_back_keeps_the_document_small_and_without_holes(history: Page) -> None:
    for _ in range(15):
        oldest = rows(history)[0]
        history.evaluate("() => { scroller.scrollTop = 0; }")
        history.wait_for_function("(oldest) => rows()[0] < oldest", arg=oldest)
        shown = rows(history)
        assert len(shown) <= LOADED
        assert shown == list(range(shown[0], shown[-1] + 2, 2))
    assert rows(history)[-1] < 2 * COUNT
    assert history.get_by_test_id("jump-latest").is_visible()


def test_what_one_looks_at_stays_when_older_messages_come_in(history: Page) -> None:
    history.evaluate("() => { room.following = false; scroller.scrollTop = 500; }")
    for _ in range(4):
        before = history.evaluate(TOP)
        oldest = rows(history)[0]
        history.evaluate("() => room.window.older().then(() => timeline.draw())")
        assert rows(history)[0] < oldest
        after = history.evaluate(TOP)
        assert after["pos"] == before["pos"]
        assert abs(after["at"] - before["at"]) <= 1


def test_scrolling_down_again_reaches_the_end(history: Page) -> None:
    history.evaluate("() => timeline.jump(2 * (100000 - 400))")
    for _ in range(40):
        if history.evaluate("() => room.window.atEnd"):
            break
        last = rows(history)[-1]
        history.evaluate("() => { scroller.scrollTop = scroller.scrollHeight; }")
        history.wait_for_function("(last) => rows().at(-1) > last || room.window.atEnd", arg=last)
    assert rows(history)[-1] == 2 * COUNT
    assert len(rows(history)) <= LOADED


@pytest.mark.parametrize("pos", [2, 50_001, 100_000, 2 * COUNT])
def test_jumps_anywhere_and_points_it_out(history: Page, pos: int) -> None:
    history.evaluate("(pos) => timeline.jump(pos)", pos)
    target = pos + pos % 2
    history.wait_for_function(
        "(pos) => document.getElementById(`message-${pos}`)?.classList.contains('found')", arg=target
    )
    box = history.evaluate(
        "(pos) => { const a = document.getElementById(`message-${pos}`).getBoundingClientRect();"
        " const b = scroller.getBoundingClientRect(); return [a.top >= b.top - 1, a.bottom <= b.bottom + 1]; }",
        target,
    )
    assert box == [True, True]
    assert history.evaluate("() => document.activeElement.dataset.pos") == str(target)


def test_finds_a_day_in_few_questions(history: Page) -> None:
    found, asked = history.evaluate("""async () => {
      const { firstAfter } = await import("/web/dialogs/date.js");
      client.asked.length = 0;
      const found = [];
      for (const days of [-5, 0, 30, 69, 400]) found.push(await firstAfter(room, Date.UTC(2026, 0, 1 + days)));
      return [found, client.asked.length];
    }""")
    minutes = 24 * 60
    assert [pos // 2 for pos in found] == [1, 1, 30 * minutes, 69 * minutes, COUNT]
    assert asked <= 5 * 20


def test_follows_new_messages_at_the_end_and_stays_small(page: Page) -> None:
    show(page, 10)
    page.evaluate("() => { for (let n = 11; n <= 2000; n++) receive(n); timeline.draw(); }")
    assert rows(page)[-1] == 4000
    assert len(rows(page)) <= LOADED
    assert page.evaluate("() => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight") < 2


def test_counts_new_messages_below_without_moving(history: Page) -> None:
    history.evaluate("() => timeline.jump(100)")
    before = history.evaluate(TOP)
    history.evaluate(f"() => {{ for (let n = {COUNT + 1}; n <= {COUNT + 3}; n++) receive(n); timeline.draw(); }}")
    assert history.evaluate(TOP) == before
    assert "3 new messages" in history.get_by_test_id("jump-latest").inner_text()
    history.get_by_test_id("jump-latest").click()
    history.wait_for_function("(last) => rows().at(-1) === last", arg=2 * (COUNT + 3))
    assert history.get_by_test_id("jump-latest").is_hidden()


def test_a_message_that_came_in_while_a_page_was_read_is_not_lost_or_doubled(page: Page) -> None:
    show(page, 500)
    shown = page.evaluate("""async () => {
      const { MessageWindow } = await import("/web/model/window.js");
      const messages = new MessageWindow((range) => client.request("message.list", range));
      await messages.around(900);
      const reading = messages.newer();
      messages.add({ pos: 1002 }, false);
      await reading;
      while (!messages.atEnd) await messages.newer();
      return messages.items.map(({ pos }) => pos);
    }""")
    assert shown == list(range(shown[0], 1004, 2))


def test_a_deletion_reaches_pages_that_were_read_before_it(page: Page) -> None:
    show(page, 500)
    deleted = page.evaluate("""async () => {
      const { MessageWindow } = await import("/web/model/window.js");
      const messages = new MessageWindow((range) => client.request("message.list", range));
      await messages.latest();
      const reading = messages.older();
      messages.update(850, (message) => ({ ...message, deleted: true }), true);
      await reading;
      return messages.find(850).deleted;
    }""")
    assert deleted is True


def test_edits_deletes_and_reactions_change_the_row(page: Page) -> None:
    show(page, 5)
    by = "{ id: 'ben', name: 'Ben', role: 'member' }"
    page.evaluate(f"""() => {{
      const event = (type, fields) => room.apply({{ type, room: "r1", at: Date.now(), by: {by}, ...fields }});
      event("message.edited", {{ pos: 11, target: 8, message: {{ text: "better", n: 4, mentions: [] }} }});
      event("message.deleted", {{ pos: 12, target: 6 }});
      event("message.reacted", {{ pos: 13, target: 10, emoji: "🎉" }});
      timeline.draw();
    }}""")
    texts = page.get_by_test_id("message-text").all_inner_texts()
    assert any(text.startswith("better") for text in texts)
    assert not any("message 3" in text for text in texts)
    assert page.get_by_test_id("tombstone").count() == 1
    assert page.get_by_test_id("reaction").inner_text().split() == ["🎉", "1"]


def test_days_and_authors_are_grouped(page: Page) -> None:
    show(page, 6)
    assert page.locator("li.message.grouped").count() == 2  # ann, ben ben, mei mei, ann
    assert page.locator("li.day").count() == 1


def test_keys_move_between_messages_and_open_their_menu(page: Page) -> None:
    show(page, 5)
    page.evaluate("() => document.getElementById('message-10').focus()")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("() => document.activeElement.dataset.pos") == "8"
    page.keyboard.press("Enter")
    page.get_by_role("menu").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("menu").count() == 0
    assert page.evaluate("() => document.activeElement.dataset.pos") == "8"
