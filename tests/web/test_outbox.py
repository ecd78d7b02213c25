"""The outbox of galaxy-live.js: unsent messages are kept over reloads and sent once, in order."""

from typing import Any

from playwright.sync_api import Page

from tests.web.scripted import ScriptedServer
from tests.web.test_galaxy_live import joined, start, until

STORED = "() => Object.keys(localStorage).filter((name) => name.startsWith('galaxy-live.outbox.')).length"
HOUR_MS = 3_600_000


def send(page: Page, *texts: str) -> None:
    page.evaluate("(texts) => texts.forEach((text) => client.send('r1', text))", list(texts))


def states(page: Page) -> list[Any]:
    listed: list[Any] = page.evaluate("() => client.outbox.list().map(({ text, state }) => [text, state])")
    return listed


def test_sends_one_at_a_time_in_order_and_forgets_what_was_acknowledged(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    send(page, "one", "two")
    first = peer.expect("message.send")
    assert states(page) == [["one", "sending"], ["two", "queued"]]
    assert page.evaluate(STORED) == 2
    peer.ok(first, pos=6, at=0)
    second = peer.expect("message.send")
    assert (first["text"], second["text"]) == ("one", "two")
    assert first["key"] != second["key"]
    peer.ok(second, pos=7, at=0)
    until(page, "() => client.outbox.list().length === 0")
    assert page.evaluate(STORED) == 0


def test_sends_again_with_the_same_key_after_a_disconnection(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    send(page, "one", "two")
    first = peer.expect("message.send")
    peer.close(3001)
    again = server.accept()
    again.welcome()
    again.admit(6, recovered=True)
    repeated = again.expect("message.send")
    assert (repeated["text"], repeated["key"]) == ("one", first["key"])
    again.ok(repeated, pos=6, at=0, duplicate=True)
    assert again.expect("message.send")["text"] == "two"


def test_keeps_unsent_messages_over_a_reload(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server, user="ann")
    send(page, "one", "two")
    key = peer.expect("message.send")["key"]
    page.reload()
    start(page, user="ann")
    assert [text for text, _ in states(page)] == ["one", "two"]
    again = server.accept()
    again.welcome()
    for text in ("one", "two"):
        command = again.expect("message.send")
        assert command["text"] == text
        assert (command["key"] == key) == (text == "one")
        again.ok(command, pos=7, at=0)
    until(page, f"() => ({STORED})() === 0")


def test_keeps_the_order_of_what_was_sent_within_one_millisecond(page: Page, server: ScriptedServer) -> None:
    joined(page, server, user="ann")
    page.evaluate("() => { const now = Date.now(); Date.now = () => now; }")
    texts = [str(number) for number in range(12)]
    send(page, *texts)
    page.reload()
    start(page, user="ann")
    assert [text for text, _ in states(page)] == texts


def test_never_sends_what_another_user_of_the_browser_wrote(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server, user="ann")
    send(page, "of ann")
    peer.expect("message.send")
    page.reload()
    start(page, user="ben")
    ben = server.accept()
    ben.welcome("ben")
    until(page, "() => client.state === 'online'")
    send(page, "of ben")
    assert ben.expect("message.send")["text"] == "of ben"
    assert page.evaluate(STORED) == 2


def test_asks_before_sending_what_is_older_than_twenty_hours(page: Page, server: ScriptedServer) -> None:
    for key, age in (("old", 21 * HOUR_MS), ("young", HOUR_MS)):
        entry = f"{{ key: '{key}', room: 'r1', text: '{key}', created: Date.now() - {age}, order: -{age} }}"
        page.evaluate(f"() => localStorage.setItem('galaxy-live.outbox.ann.{key}', JSON.stringify({entry}))")
    start(page, user="ann")
    peer = server.accept()
    peer.welcome()
    young = peer.expect("message.send")
    assert young["key"] == "young"
    peer.ok(young, pos=1, at=0)
    until(page, "() => client.outbox.list().length === 1")
    assert states(page) == [["old", "ask"]]
    page.evaluate("() => client.outbox.retry('old')")
    assert peer.expect("message.send")["key"] == "old"


def test_shows_why_a_message_was_refused_and_goes_on_with_the_next(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    send(page, "bad", "good")
    bad = peer.expect("message.send")
    peer.refuse(bad, "blocked", message="A word")
    peer.ok(peer.expect("message.send"), pos=6, at=0)
    until(page, "() => client.outbox.list().length === 1")
    assert states(page) == [["bad", "failed"]]
    assert page.evaluate("() => client.outbox.list()[0].error.message") == "A word"
    page.evaluate("() => client.outbox.retry(client.outbox.list()[0].key)")
    assert peer.expect("message.send")["key"] == bad["key"]


def test_waits_and_tries_again_when_the_server_is_busy(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    send(page, "one", "two")
    for code in ("rate_limited", "unavailable"):
        peer.refuse(peer.expect("message.send"), code, retry=True, retry_after_ms=1)
    third = peer.expect("message.send")
    assert third["text"] == "one"  # the second message does not overtake
    peer.ok(third, pos=6, at=0)
    assert peer.expect("message.send")["text"] == "two"


def test_cancels_what_is_not_being_sent(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    send(page, "one", "two")
    peer.expect("message.send")
    assert page.evaluate("() => client.outbox.list().map(({ key }) => client.outbox.cancel(key))") == [False, True]
    assert states(page) == [["one", "sending"]]


def test_is_bounded(page: Page, server: ScriptedServer) -> None:
    joined(page, server)
    code = page.evaluate("""() => {
      try {
        for (let count = 0; count < 201; count++) client.send("r1", String(count));
      } catch (error) {
        return error.code;
      }
    }""")
    assert code == "too_many"
    assert len(states(page)) == 200
