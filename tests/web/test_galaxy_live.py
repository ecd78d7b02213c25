"""galaxy-live.js: reconnecting, recovering, and sending each message once."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.web.scripted import Peer, ScriptedServer

START = """async (options) => {
  const { GalaxyClient } = await import("/web/galaxy-live.js");
  const log = (window.log = { states: [], events: [], resets: [], removed: [], tokens: [], errors: [], retries: [] });
  const url = location.origin.replace("http", "ws") + "/v1/socket";
  const token = (reason) => (log.tokens.push(reason), `token-${log.tokens.length}`);
  const random = () => options.chance ?? 1;
  const client = (window.client = new GalaxyClient({ url, token, backoffMs: 1, random, ...options }));
  client.on("state", ({ state, code, delayMs }) => {
    log.states.push(state);
    if (state === "offline") log.retries.push(delayMs);
    if (state === "closed") log.closed = code;
  });
  client.on("event", (event) => log.events.push(event.pos ?? event.type));
  client.on("reset", ({ room }) => log.resets.push(room));
  client.on("room.removed", (event) => log.removed.push(event));
  client.on("error", (error) => log.errors.push(error.code ?? error.message));
  client.start();
}"""


def start(page: Page, **options: Any) -> None:
    page.evaluate(START, options)


def join(page: Page) -> None:
    """Asks to join, without waiting for the reply."""
    page.evaluate("""() => { window.joined = client.join("r1"); window.joined.catch(() => {}); }""")


def until(page: Page, condition: str) -> None:
    page.wait_for_function(condition)


def log(page: Page, name: str) -> Any:
    return page.evaluate("(name) => log[name]", name)


def created(pos: int, room: str = "r1") -> dict[str, Any]:
    by = {"id": "ben", "name": "Ben", "role": "member"}
    message = {"text": str(pos), "n": pos, "mentions": []}
    return {"type": "message.created", "room": room, "pos": pos, "at": 0, "by": by, "message": message}


def joined(page: Page, server: ScriptedServer, pos: int = 5, **options: Any) -> Peer:
    """A client that listens to r1 from `pos` on."""
    start(page, **options)
    join(page)
    peer = server.accept()
    peer.welcome()
    peer.admit(pos)
    page.evaluate("() => window.joined")
    return peer


def test_says_hello_with_the_token_in_the_first_command(page: Page, server: ScriptedServer) -> None:
    start(page)
    hello = server.accept().welcome()
    until(page, "() => client.state === 'online'")
    assert hello["token"] == "token-1"
    assert log(page, "states") == ["connecting", "online"]
    assert page.evaluate("() => client.welcome.user.id") == "ann"


def test_recovers_what_it_missed_once_and_in_order(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    peer.send(created(6))
    peer.close(3001)
    again = server.accept()
    again.welcome()
    skip = {"type": "room.skip", "room": "r1", "from": 8, "to": 9}
    rejoin = again.admit(10, recovered=True, events=[created(7), skip, created(10)])
    assert rejoin["since"] == {"epoch": "e1", "pos": 6}
    again.send(created(11))
    until(page, "() => log.events.includes(11)")
    assert log(page, "events") == [6, 7, 10, 11]
    assert log(page, "resets") == []
    assert log(page, "states")[-3:] == ["connecting", "catching_up", "online"]


def test_tells_the_app_when_recovery_was_impossible(page: Page, server: ScriptedServer) -> None:
    joined(page, server).close(3001)
    again = server.accept()
    again.welcome()
    again.admit(900, epoch="e2")
    again.send(created(901))
    until(page, "() => log.events.includes(901)")
    assert log(page, "resets") == ["r1"]


def test_closes_a_hole_by_recovering_and_drops_doubles(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    peer.send(created(6), created(6), created(9), created(10))
    assert peer.admit(10, recovered=True, events=[created(n) for n in (7, 8, 9, 10)])["since"]["pos"] == 6
    peer.send(created(10), created(11))
    until(page, "() => log.events.includes(11)")
    assert log(page, "events") == [6, 7, 8, 9, 10, 11]


def test_follows_skips_resets_and_removal(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    peer.send({"type": "room.skip", "room": "r1", "from": 6, "to": 8}, created(9))
    peer.send({"type": "room.reset", "room": "r1", "epoch": "e2", "pos": 3}, created(4))
    peer.send({"type": "room.removed", "room": "r1", "code": "kicked"}, created(5))
    peer.send({"type": "mention", "room": "r1", "pos": 2})
    until(page, "() => log.events.length === 3")
    assert log(page, "events") == [9, 4, 2]
    assert log(page, "resets") == ["r1"]
    assert [event["code"] for event in log(page, "removed")] == ["kicked"]
    assert page.evaluate("() => client.rooms") == []


def test_a_room_that_is_closed_to_the_user_meanwhile_is_reported_as_removed(page: Page, server: ScriptedServer) -> None:
    joined(page, server).close(3001)
    again = server.accept()
    again.welcome()
    again.refuse(again.expect("room.join"), "banned")
    until(page, "() => log.removed.length === 1")
    assert log(page, "removed")[0]["code"] == "banned"


def test_a_refused_first_join_rejects(page: Page, server: ScriptedServer) -> None:
    start(page)
    join(page)
    peer = server.accept()
    peer.welcome()
    peer.refuse(peer.expect("room.join"), "not_found")
    assert page.evaluate("() => joined.catch((error) => [error.name, error.code])") == ["GalaxyError", "not_found"]


def test_waits_longer_after_each_failure_up_to_a_bound(page: Page, server: ScriptedServer) -> None:
    start(page, backoffMs=8, backoffMaxMs=30)
    for _ in range(4):
        server.accept().close(1013)
    until(page, "() => log.retries.length === 4")
    assert log(page, "retries") == [8, 16, 30, 30]  # `random` is 1 here, so each delay is its ceiling


def test_spreads_reconnections_over_the_whole_delay(page: Page, server: ScriptedServer) -> None:
    start(page, backoffMs=40, chance=0.25)
    server.accept().close(3001)
    until(page, "() => log.retries.length === 1")
    assert log(page, "retries") == [10]


def test_a_bad_token_is_replaced_once(page: Page, server: ScriptedServer) -> None:
    start(page)
    for _ in range(2):
        peer = server.accept()
        peer.expect("hello")
        peer.send({"type": "error", "code": "unauthorized", "message": "no", "retry": False})
        peer.close(3500)
    until(page, "() => client.state === 'closed'")
    assert log(page, "tokens") == ["connect", "rejected"]
    assert log(page, "closed") == 3500


@pytest.mark.parametrize("code", [3501, 3503, 3504, 3999])
def test_final_close_codes_end_it(page: Page, server: ScriptedServer, code: int) -> None:
    joined(page, server).close(code)
    until(page, "() => client.state === 'closed'")
    assert log(page, "closed") == code
    assert page.evaluate("() => client.retryInMs") is None
    assert page.evaluate("() => client.request('x', { key: '1' }).catch((error) => error.code)") == "stopped"


def test_an_expired_token_is_renewed_at_once(page: Page, server: ScriptedServer) -> None:
    joined(page, server).close(3005)
    assert server.accept().welcome()["token"] == "token-2"
    assert log(page, "tokens") == ["connect", "expired"]
    assert log(page, "retries") == []


def test_refreshes_a_token_on_the_open_connection(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    peer.send({"type": "token.expiring", "at": 0})
    assert peer.expect("refresh")["token"] == "token-2"
    assert log(page, "tokens") == ["connect", "refresh"]


def test_opens_the_new_connection_before_the_old_one_ends(page: Page, server: ScriptedServer) -> None:
    old = joined(page, server)
    page.evaluate("() => { window.slow = client.request('room.events', { room: 'r1' }); }")
    pending = old.expect("room.events")
    old.send({"type": "reconnect", "within_ms": 5})
    new = server.accept()
    new.welcome()
    assert new.admit(6, recovered=True, events=[created(6)])["since"]["pos"] == 5
    old.send(created(6))
    old.ok(pending, answer=42)  # what is under way on the old connection is still answered
    assert page.evaluate("() => slow.then(({ answer }) => answer)") == 42
    assert old.closed()
    new.send(created(7))
    until(page, "() => log.events.includes(7)")
    assert log(page, "events") == [6, 7]
    assert "offline" not in log(page, "states")


def test_falls_back_to_reconnecting_when_the_new_connection_fails(page: Page, server: ScriptedServer) -> None:
    old = joined(page, server)
    old.send({"type": "reconnect", "within_ms": 0})
    server.accept().close(3001)
    old.close(3001)
    third = server.accept()
    third.welcome()
    third.admit(5, recovered=True)
    until(page, "() => client.state === 'online'")


def test_pings_a_silent_server_and_leaves_a_dead_one(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server, pingAfterMs=30, pongWithinMs=200)
    peer.ok(peer.expect("ping"), server_time=0)
    peer.expect("ping")
    again = server.accept()
    again.welcome()
    assert "offline" in log(page, "states")


def test_only_a_command_with_a_key_outlives_the_connection(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    page.evaluate("""() => {
      window.kept = client.request("message.pin", { room: "r1", target: 3, key: "k1" });
      window.lost = client.request("message.list", { room: "r1" }).catch((error) => error.code);
    }""")
    first = peer.expect("message.pin")
    peer.expect("message.list")
    peer.close(3001)
    again = server.accept()
    again.welcome()
    again.admit(5, recovered=True)
    second = again.expect("message.pin")
    again.ok(second, pos=6, duplicate=True)
    assert second["key"] == first["key"] == "k1"
    assert page.evaluate("() => kept.then(({ pos }) => pos)") == 6
    assert page.evaluate("() => lost") == "disconnected"


def test_waits_out_a_rate_limit(page: Page, server: ScriptedServer) -> None:
    peer = joined(page, server)
    page.evaluate("() => { window.listed = client.request('message.list', { room: 'r1' }); }")
    peer.refuse(peer.expect("message.list"), "rate_limited", retry=True, retry_after_ms=1)
    peer.ok(peer.expect("message.list"), messages=[], more=False)
    assert page.evaluate("() => listed.then(({ more }) => more)") is False


def test_nudging_reconnects_without_waiting(page: Page, server: ScriptedServer) -> None:
    start(page, backoffMs=1_000_000, backoffMaxMs=1_000_000)
    server.accept().close(3001)
    until(page, "() => client.state === 'offline'")
    page.evaluate("() => dispatchEvent(new Event('online'))")
    server.accept().welcome()
    until(page, "() => client.state === 'online'")
