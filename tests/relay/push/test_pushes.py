"""Streams pushed for real: to nginx's RTMP module, and to our own ingest by RTMP and RTMPS."""

import json
import signal
import ssl
from pathlib import Path

import pytest

from relay.ports import Destination
from relay.push.destination import PushSettings
from relay.rtmp.publish_session import Rejected
from tests.relay.push.nginx import nginx_rtmp
from tests.relay.push.support import AUDIO, GROUP, LOCAL, VIDEO, frames, in_row, pushing
from tests.relay.rtmp.support import KEY, Stream, running, until
from tests.support.certificates import self_signed


def numbers(stream: Stream) -> list[int]:
    return [int.from_bytes(unit.data[5:9]) for unit in stream.track("video")]


async def test_a_destination_gets_every_unit_from_a_keyframe_on() -> None:
    async with running() as server, pushing() as (source, pushes):
        await until(lambda: source.number > 10)
        pushes.push_to([Destination("one", "One", server.url)])
        await until(lambda: server.streams and len(server.streams[0].track("video")) > 40)
        [stream] = server.streams
        assert stream.track("video")[0].key
        assert in_row(numbers(stream))
        assert stream.track("video")[0].config == VIDEO
        assert stream.track("audio")[0].config == AUDIO
        assert source.told("one")[0].url == f"rtmp://127.0.0.1:{server.port}/live/***"
        await until(lambda: source.told("one")[-1].kbit > 0)
        pushes.push_to([])
        await until(lambda: source.state("one") == "stopped")
        await until(lambda: stream.reasons)
        assert [s.state for s in source.told("one") if s.state != "live"] == ["connecting", "stopped"]
        assert KEY not in json.dumps([str(status) for status in source.statuses])


async def test_rtmps_checks_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with running(tls=tls) as server:
        async with pushing() as (source, pushes):
            pushes.push_to([Destination("one", "One", server.url)])
            await until(lambda: source.told("one") and source.state("one") == "retrying")
            assert source.told("one")[-1].error.startswith("its certificate is not valid")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with pushing() as (source, pushes):
            pushes.push_to([Destination("one", "One", server.url)])
            await until(lambda: server.streams and len(server.streams[0].track("video")) > 5)


async def test_a_refusal_is_a_status_without_the_key() -> None:
    async with running() as server, pushing() as (source, pushes):
        pushes.push_to([Destination("one", "One", server.url.replace(KEY, "wrong-one"))])
        await until(lambda: source.told("one") and source.state("one") == "refused")
        assert source.told("one")[-1].error == "No stream has this key."
        assert "wrong-one" not in str(source.statuses)


async def test_what_a_destination_says_is_cut_and_any_failure_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [Rejected("no\n" * 1_000_000), RuntimeError("broken")]

    async def fail(*_: object) -> None:
        raise failures[0] if len(source.told("one")) < 3 else failures[1]

    monkeypatch.setattr("relay.push.destination.connect", fail)
    async with pushing() as (source, pushes):
        pushes.push_to([Destination("one", "One", "rtmp://127.0.0.1:1/live/key")])
        await until(lambda: source.told("one") and source.state("one") == "refused")
        error = source.told("one")[-1].error
        assert error.startswith("no no ")
        assert len(error) == 200
        await until(lambda: source.state("one") == "retrying")
        assert source.told("one")[-1].error == "broken"


async def test_private_addresses_are_refused_before_a_byte_is_sent() -> None:
    async with running() as server, pushing(settings=PushSettings()) as (source, pushes):
        pushes.push_to([Destination("one", "One", server.url), Destination("two", "Two", "http://x")])
        await until(lambda: source.told("one") and source.state("one") == "refused")
        assert source.told("one")[-1].error == "the host has no public address"
        assert source.state("two") == "refused"
        assert server.server.connections == 0
        assert not server.server.ended


async def test_one_destination_is_killed_stalled_and_back_and_the_other_loses_nothing() -> None:
    settings = PushSettings(
        networks=LOCAL, queue_bytes=1_000_000, report_seconds=0.1, connect_seconds=1.0, stalled_seconds=1.0,
        retry_seconds=0.5,
    )  # fmt: skip
    async with nginx_rtmp() as good, nginx_rtmp() as bad, pushing(20_000, settings) as (source, pushes):
        pushes.push_to(
            [
                Destination("good", "Good", f"rtmp://127.0.0.1:{good.port}/live/secret"),
                Destination("bad", "Bad", f"rtmp://127.0.0.1:{bad.port}/live/secret"),
            ]
        )
        await until(lambda: bad.recordings() and bad.recordings()[-1].stat().st_size > 100_000)
        await bad.stop()
        await until(lambda: source.state("bad") == "retrying")
        await bad.start()
        await until(lambda: source.state("bad") == "live" and len(bad.recordings()) == 2)
        await until(lambda: bad.recordings()[-1].stat().st_size > 100_000)
        bad.signal(signal.SIGSTOP)
        await until(lambda: source.state("bad") == "retrying")
        assert source.told("bad")[-1].error in {"it took nothing for 1 s", "it did not answer within 1 s"}
        before = len(bad.recordings())
        bad.signal(signal.SIGCONT)
        await until(lambda: source.state("bad") == "live" and len(bad.recordings()) > before)
        await until(lambda: bad.recordings()[-1].stat().st_size > 100_000)
        assert {status.state for status in source.told("good")} == {"connecting", "live"}
        assert source.told("good")[-1].dropped == 0
        assert "secret" not in str(source.statuses)
        [whole] = good.recordings()
        await until(lambda: len(frames(whole.read_bytes())) > 100)
        pushes.push_to([])
        await until(lambda: source.state("bad") == source.state("good") == "stopped")
        assert in_row(frames(whole.read_bytes()))
        for recording in bad.recordings():
            assert frames(recording.read_bytes())[0] % GROUP == 0
