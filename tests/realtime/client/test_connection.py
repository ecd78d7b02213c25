import asyncio
from http import HTTPStatus
from typing import Any

import pytest

from realtime.client import Client, Closed, CommandError, ConnectionLost, ProtocolViolation, UpgradeRefused
from realtime.client.link import socket_url
from tests.realtime.client.scripted import WELCOME, HandClock, Peer, ScriptedServer


class Tokens:
    """A token provider that counts: t1, t2, …"""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        return f"t{self.asked}"


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("http://a:8080", "ws://a:8080/v1/socket"),
        ("https://a/", "wss://a/v1/socket"),
        ("ws://a/chat", "ws://a/chat/v1/socket"),
        ("wss://a/v1/socket", "wss://a/v1/socket"),
    ],
)
def test_the_address_of_a_server_is_its_socket(given: str, opened: str) -> None:
    assert socket_url(given) == opened


@pytest.mark.parametrize("given", ["ftp://a", "a:8080", "", "http://"])
def test_another_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Client(given)


async def test_the_token_goes_in_the_header_and_welcome_is_kept(me: Client, peer: Peer) -> None:
    assert peer.ws.subprotocol == "galaxy.v1.json"
    assert peer.path == "/v1/socket"
    assert peer.authorization == "Bearer t0"
    assert (me.user.id, me.session, me.limits) == ("ann", "s1", {"commands_per_second": 20})


async def test_without_a_token_it_says_hello() -> None:
    async with ScriptedServer(greets=False) as server:
        entering = asyncio.create_task(Client(server.url).__aenter__())
        peer = await server.accept()
        hello = await peer.expect("hello")
        assert peer.authorization is None
        await peer.send(**WELCOME, id=hello["id"])
        me = await entering
        await me.__aexit__(None, None, None)


async def refuse(server: ScriptedServer, code: int) -> Peer:
    peer = await server.accept()
    await peer.send(type="error", code="unauthorized", message="no such token")
    await peer.close(code)
    return peer


async def test_a_bad_token_ends_it() -> None:
    async with ScriptedServer(greets=False) as server:
        refusing = asyncio.create_task(refuse(server, 3500))
        with pytest.raises(Closed, match="no such token") as caught:
            async with Client(server.url, token="bad"):
                pass
        assert caught.value.code == 3500
        await refusing


async def test_a_provider_is_asked_again_after_a_bad_token_but_only_once() -> None:
    tokens = Tokens()
    async with ScriptedServer(greets=False) as server:
        entering = asyncio.create_task(Client(server.url, token=tokens, backoff_base=0).__aenter__())
        assert (await refuse(server, 3500)).authorization == "Bearer t1"
        assert (await refuse(server, 3500)).authorization == "Bearer t2"
        with pytest.raises(Closed):
            await entering
        assert tokens.asked == 2


async def test_a_provider_is_asked_again_when_the_token_expired(server: ScriptedServer) -> None:
    async with Client(server.url, token=Tokens(), backoff_base=0):
        peer = await server.accept()
        await peer.close(3008)
        peer = await server.accept()
        assert peer.authorization == "Bearer t1"
        await peer.close(3005)
        peer = await server.accept()
        assert peer.authorization == "Bearer t2"


async def test_an_expiring_token_is_refreshed_in_place(server: ScriptedServer) -> None:
    async with Client(server.url, token=Tokens(), backoff_base=0):
        peer = await server.accept()
        await peer.send(type="token.expiring")
        command = await peer.expect("refresh")
        assert command["token"] == "t2"
        await peer.ok(command)
        await peer.close(3001)
        assert (await server.accept()).authorization == "Bearer t2"


async def test_a_refused_refresh_leaves_the_connection_alone(server: ScriptedServer) -> None:
    async with Client(server.url, token=Tokens(), backoff_base=0) as me:
        peer = await server.accept()
        await peer.send(type="token.expiring")
        await peer.error(await peer.expect("refresh"), "unavailable", retry=True)
        asking = asyncio.create_task(me.command("read.list"))
        await peer.ok(await peer.expect("read.list"))
        await asking


async def test_a_provider_that_cannot_is_asked_again_and_one_that_breaks_ends_it(server: ScriptedServer) -> None:
    failures: list[Exception] = [ConnectionError("down"), KeyError("bug")]

    async def provider() -> str:
        raise failures.pop(0)

    with pytest.raises(KeyError, match="bug"):
        async with Client(server.url, token=provider, backoff_base=0):
            pass
    assert failures == []


async def test_nobody_there_is_an_os_error_in_the_end() -> None:
    async with ScriptedServer() as server:
        url = server.url
    clock = HandClock()
    entering = asyncio.create_task(Client(url, clock=clock, random=lambda: 0.5, open_timeout=2).__aenter__())
    for delay in (0.25, 0.5, 1, 2):
        await clock.pass_sleep(delay)
    with pytest.raises(ConnectionRefusedError):
        await entering
    assert clock.sleeps == [0.25, 0.5, 1, 2]


async def test_it_waits_for_a_server_that_is_not_ready() -> None:
    async with ScriptedServer() as server:
        server.status = HTTPStatus.SERVICE_UNAVAILABLE
        clock = HandClock()
        entering = asyncio.create_task(Client(server.url, token="t", clock=clock, random=lambda: 0.5).__aenter__())
        await clock.until_asleep(0.25)
        server.status = None
        clock.advance(0.25)
        me = await entering
        await me.__aexit__(None, None, None)


async def test_a_refused_upgrade_is_final(server: ScriptedServer) -> None:
    server.status = HTTPStatus.NOT_FOUND
    with pytest.raises(UpgradeRefused) as caught:
        async with Client(server.url, token="t"):
            pass
    assert caught.value.status == 404


@pytest.mark.parametrize("code", [1001, 1011, 3000, 3001, 3008, 3012, 3013, 3499, None])
async def test_it_comes_back_after(me: Client, server: ScriptedServer, peer: Peer, code: int | None) -> None:
    if code is None:
        peer.abort()
    else:
        await peer.close(code)
    peer = await server.accept()
    asking = asyncio.create_task(me.command("read.list"))
    await peer.ok(await peer.expect("read.list"))
    await asking


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 3500, 3501, 3503, 3504, 3999])
async def test_it_stays_away_after(me: Client, server: ScriptedServer, peer: Peer, code: int) -> None:
    asking = asyncio.create_task(me.command("read.list"))
    await peer.expect("read.list")
    await peer.close(code, "enough")
    with pytest.raises(ConnectionLost):
        await asking
    with pytest.raises(Closed, match="enough") as caught:
        await anext(me.events())
    assert caught.value.code == code
    with pytest.raises(Closed):
        await me.command("read.list")
    with pytest.raises(Closed):
        async with me.room("r1"):
            pass
    assert server.accepted.empty()


async def test_backoff_grows_while_connections_do_not_last_and_starts_anew_after_one_that_did(
    server: ScriptedServer,
) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, random=lambda: 0.5):
        for delay in (0.25, 0.5, 1):
            await (await server.accept()).close(3013)
            await clock.pass_sleep(delay)
        peer = await server.accept()
        await clock.until_asleep(30)  # the client has seen the welcome, and now waits for silence
        clock.advance(10)
        await peer.close(3013)
        await clock.pass_sleep(0.25)
        await server.accept()


async def test_silence_is_answered_by_a_ping_and_then_by_a_new_connection(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, backoff_base=0) as me:
        peer = await server.accept()
        await clock.pass_sleep(30)
        await peer.ok(await peer.expect("ping"), server_time=1)
        asking = asyncio.create_task(me.command("read.list"))
        await peer.ok(await peer.expect("read.list"))
        await asking
        await clock.pass_sleep(10)
        await clock.pass_sleep(20)  # 30 s after the answer, which came when 10 s of the 30 were still to pass
        await peer.expect("ping")
        await clock.pass_sleep(10)
        await clock.pass_sleep(0)
        await server.accept()


async def test_on_request_it_opens_the_new_connection_before_it_closes_the_old(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, random=lambda: 0.25) as me:
        old = await server.accept()
        await old.send(type="reconnect", within_ms=8000)
        await clock.until_asleep(2)
        asking = asyncio.create_task(me.command("read.list"))
        unanswered = await old.expect("read.list")
        assert server.accepted.empty()
        clock.advance(2)
        new = await server.accept()
        await clock.until_asleep(5)  # the old one has this long to answer what it was sent
        later = asyncio.create_task(me.command("room.list"))
        await new.ok(await new.expect("room.list"))
        await later
        await old.ok(unanswered, rooms=["from the old one"])
        assert (await asking)["rooms"] == ["from the old one"]
        await old.ws.wait_closed()
        assert old.ws.close_code == 1000
        assert clock.sleeps.count(0.25 * 0.5) == 0  # no backoff: nothing was lost


async def test_a_replaced_connection_that_does_not_answer_is_closed_all_the_same(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, random=lambda: 0.25) as me:
        old = await server.accept()
        lost = asyncio.create_task(me.command("read.list"))
        kept = asyncio.create_task(me.room("r1").send("once"))
        await old.expect("read.list")
        sent = await old.expect("message.send")
        await old.send(type="reconnect", within_ms=8000)
        await clock.pass_sleep(2)
        new = await server.accept()
        await clock.pass_sleep(5)
        with pytest.raises(ConnectionLost):
            await lost
        assert await new.expect("message.send") == sent
        await new.ok(sent, pos=1, at=1)
        await kept
        await old.ws.wait_closed()


async def test_while_the_new_connection_fails_the_old_one_serves(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, random=lambda: 0.5) as me:
        old = await server.accept()
        server.status = HTTPStatus.SERVICE_UNAVAILABLE
        await old.send(type="reconnect", within_ms=8000)
        await clock.pass_sleep(4)
        await clock.until_asleep(0.25)
        asking = asyncio.create_task(me.command("read.list"))
        await old.ok(await old.expect("read.list"))
        await asking
        server.status = None
        clock.advance(0.25)
        await server.accept()


async def test_commands_with_a_key_are_sent_again_in_order_until_answered(
    me: Client, server: ScriptedServer, peer: Peer
) -> None:
    room = me.room("r1")
    sends = []
    for text in "abc":
        sends.append(asyncio.create_task(room.send(text)))
        await peer.expect("message.send")
    unkeyed = asyncio.create_task(me.command("typing", room="r1"))
    await peer.expect("typing")
    peer.abort()
    with pytest.raises(ConnectionLost):
        await unkeyed
    peer = await server.accept()
    again = [await peer.expect("message.send") for _ in "abc"]
    assert [command["text"] for command in again] == ["a", "b", "c"]
    await peer.ok(again[0], pos=1, at=1, duplicate=True)
    assert (await sends[0]).duplicate
    peer.abort()
    peer = await server.accept()
    third = [await peer.expect("message.send") for _ in "bc"]
    assert third == again[1:]
    await peer.ok(third[0], pos=2, at=1)
    await peer.error(third[1], "muted")
    assert (await sends[1]).pos == 2
    with pytest.raises(CommandError, match="muted"):
        await sends[2]


async def test_what_is_sent_again_keeps_below_the_servers_rate(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, backoff_base=0) as me:
        peer = await server.accept()
        sends = [asyncio.create_task(me.room("r1").send(str(n))) for n in range(34)]
        for _ in sends:
            await peer.expect("message.send")
        peer.abort()
        await clock.pass_sleep(0)
        peer = await server.accept()
        for n in range(34):
            command = await peer.expect("message.send")
            assert command["text"] == str(n)
            await peer.ok(command, pos=n + 1, at=1)
            if n >= 31:
                await clock.pass_sleep(1 / 20)
        await asyncio.gather(*sends)
        assert clock.sleeps.count(1 / 20) == 3


async def test_commands_given_while_away_wait_for_the_connection(
    me: Client, server: ScriptedServer, peer: Peer
) -> None:
    server.status = HTTPStatus.SERVICE_UNAVAILABLE
    peer.abort()
    await server.refused.wait()
    asking = asyncio.create_task(me.command("read.list"))
    await asyncio.sleep(0)
    server.status = None
    peer = await server.accept()
    await peer.ok(await peer.expect("read.list"))
    await asking


async def test_what_is_sent_again_goes_before_what_still_waits(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, backoff_base=0) as me:
        peer = await server.accept()
        sends = [asyncio.create_task(me.room("r1").send(str(n))) for n in range(34)]
        for _ in sends:
            await peer.expect("message.send")
        peer.abort()
        await clock.pass_sleep(0)
        peer = await server.accept()
        await clock.until_asleep(1 / 20)  # 32 are sent again, two wait for their turn
        peer.abort()
        await clock.pass_sleep(0)
        peer = await server.accept()
        for n in range(32):
            assert (await peer.expect("message.send"))["text"] == str(n)
    for outcome in await asyncio.gather(*sends, return_exceptions=True):
        assert isinstance(outcome, Closed)


async def test_a_reply_on_another_connection_than_the_commands_is_a_violation(server: ScriptedServer) -> None:
    clock = HandClock()
    async with Client(server.url, token="t", clock=clock, random=lambda: 0.25) as me:
        old = await server.accept()
        asking = asyncio.create_task(me.command("read.list"))
        command = await old.expect("read.list")
        await old.send(type="reconnect", within_ms=8000)
        await clock.pass_sleep(2)
        new = await server.accept()
        await new.ok(command)
        with pytest.raises(ProtocolViolation, match="no command"):
            await asking


async def test_a_cancelled_command_is_not_sent_again_and_its_reply_is_known(
    me: Client, server: ScriptedServer, peer: Peer
) -> None:
    gone = asyncio.create_task(me.room("r1").send("a"))
    late = await peer.expect("message.send")
    gone.cancel()
    await asyncio.wait({gone})
    await peer.ok(late, pos=1, at=1)
    gone = asyncio.create_task(me.room("r1").send("b"))
    await peer.expect("message.send")
    gone.cancel()
    await asyncio.wait({gone})
    peer.abort()
    peer = await server.accept()
    asking = asyncio.create_task(me.command("read.list"))
    await peer.ok(await peer.expect("read.list"))
    await asking


async def test_the_outbox_is_bounded_by_waiting(server: ScriptedServer) -> None:
    async with Client(server.url, token="t", outbox=2) as me:
        peer = await server.accept()
        asks = [asyncio.create_task(me.command("read.list", n=n)) for n in range(3)]
        first, second = await peer.receive(), await peer.receive()
        asks[1].cancel()  # sent, so it counts until it is answered
        await peer.ok(second)
        third = await peer.receive()
        assert third["n"] == 2
        await peer.ok(third)
        await peer.ok(first)
        await asks[0]
        await asks[2]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ("[]", "not an object"),
        ("{}", "not an object"),
        ("{", "undecodable"),
        (b"{}", "binary frame"),
        ('{"type":"ok","id":999}', "no command"),
        ('{"type":"ok","id":[]}', "no command"),
        ('{"type":"reconnect"}', "within_ms"),
        ('{"type":"user.changed"}', "rooms"),
    ],
)
async def test_nonsense_is_a_violation(me: Client, peer: Peer, frame: str | bytes, told: str) -> None:
    await peer.ws.send(frame)
    with pytest.raises(ProtocolViolation, match=told):
        await anext(me.events())
    with pytest.raises(ProtocolViolation, match=told):
        await me.command("read.list")


@pytest.mark.parametrize("greeting", [{"type": "presence"}, {"type": "welcome", "session": 1}])
async def test_another_greeting_is_a_violation(greeting: dict[str, Any]) -> None:
    async with ScriptedServer(greets=False) as server:
        entering = asyncio.create_task(Client(server.url, token="t").__aenter__())
        await (await server.accept()).send(**greeting)
        with pytest.raises(ProtocolViolation, match="welcome"):
            await entering


async def test_an_error_without_id_is_told_with_the_close(me: Client, peer: Peer) -> None:
    await peer.send(type="error", code="bad_request", message="no object at all")
    await peer.close(3501)
    with pytest.raises(Closed, match="no object at all"):
        await anext(me.events())


async def test_leaving_says_goodbye_and_ends_what_waits(server: ScriptedServer) -> None:
    async with Client(server.url, token="t") as me:
        peer = await server.accept()
        asking = asyncio.create_task(me.command("read.list"))
        await peer.expect("read.list")
        listening = asyncio.ensure_future(anext(me.events()))
        await asyncio.sleep(0)
    with pytest.raises(Closed) as caught:
        await asking
    assert caught.value.code == 1000
    with pytest.raises(StopAsyncIteration):
        await listening
    await peer.ws.wait_closed()
    assert peer.ws.close_code == 1000


async def test_entering_can_be_cancelled() -> None:
    async with ScriptedServer(greets=False) as server:
        entering = asyncio.create_task(Client(server.url, token="t").__aenter__())
        peer = await server.accept()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await peer.ws.wait_closed()
