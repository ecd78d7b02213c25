import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realtime.auth import Authenticator, BadToken, KeysUnavailable, UnknownKey
from realtime.auth.keys import jwks_keys
from realtime.config import Auth
from tests.realtime.auth.material import NOW, SECRET, jwk, jwks, private_key, signed

RSA, EC, ED = (private_key(name) for name in ("RS256", "ES256", "EdDSA"))
MINUTE = 60_000


class Issuer:
    """Serves a key set over HTTP/1.1; `gate` holds its answers back."""

    def __init__(self) -> None:
        self.body = b""
        self.head = "HTTP/1.1 200 OK\r\n"
        self.requests = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        await self.gate.wait()
        writer.write(f"{self.head}Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n".encode() + self.body)
        writer.close()


@asynccontextmanager
async def issuer(body: bytes) -> AsyncIterator[Issuer]:
    serving = Issuer()
    serving.body = body
    server = await asyncio.start_server(serving.answer, "127.0.0.1", 0)
    serving.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield serving


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # the condition holds somewhere else, which tells nobody
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def by(kid: str | None, key: object = ED, algorithm: str = "EdDSA") -> str:
    return signed(key, algorithm, header={"kid": kid} if kid else None)  # type: ignore[arg-type]  # any of material's


def test_a_file_with_all_kinds_of_keys(tmp_path: Path) -> None:
    oct_key = {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="), "kid": "hs"}
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(jwk(RSA, kid="rs"), jwk(EC, kid="es", use="sig"), jwk(ED, kid="ed", alg="EdDSA"), oct_key))
    auth = Authenticator(Auth(jwks_file=str(path)))
    for token in (by("rs", RSA, "RS256"), by("es", EC, "ES256"), by("ed"), by(None), by("hs", SECRET, "HS256")):
        assert auth.verify(token, NOW).user == "ann"
    with pytest.raises(UnknownKey):
        auth.verify(by("other"), NOW)
    with pytest.raises(BadToken, match="algorithm is not the key's"):
        auth.verify(by("rs"), NOW)


@pytest.mark.parametrize(
    "unusable",
    [
        jwk(RSA, use="enc"),
        jwk(RSA, key_ops=["encrypt"]),
        jwk(RSA, alg="RS512"),
        jwk(RSA, alg="ES256"),
        jwk(RSA, alg="none"),
        jwk(private_key("small RS256")),
        jwk(private_key("ES384")),
        jwk(private_key("ES384"), alg="ES256"),
        {**jwk(ED), "d": "AAAA"},
        {**jwk(ED), "x": "!"},
        {**jwk(ED), "crv": "X25519"},
        {**jwk(EC), "y": "AAAA"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA"},
        {"kty": "XYZ"},
        {"kty": 1},
        {},
        [],
        "key",
        None,
    ],
)
def test_keys_that_cannot_be_used_are_passed_over(unusable: object) -> None:
    found = jwks_keys(jwks(unusable, jwk(EC, kid="good")), symmetric=True)
    assert [key.kid for key in found] == ["good"]
    with pytest.raises(ValueError, match="no key that this server can use"):
        jwks_keys(jwks(unusable), symmetric=True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"keys":{}}', b"\xff", b'{"keys":' + b"[" * 5000])
def test_what_is_no_key_set(body: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON Web Key Set"):
        jwks_keys(body, symmetric=False)


def test_a_secret_in_a_public_set_is_no_key() -> None:
    shared = {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")}
    with pytest.raises(ValueError, match="no key that this server can use"):
        jwks_keys(jwks(shared), symmetric=False)


async def test_an_unknown_key_is_fetched_at_most_once_a_minute() -> None:
    async with issuer(jwks(jwk(ED, kid="1"))) as serving:
        auth = Authenticator(Auth(jwks_url=serving.url))
        with pytest.raises(UnknownKey):
            auth.verify(by("1"), NOW)
        assert (await auth.verify_fresh(by("1"), NOW)).user == "ann"
        assert auth.verify(by("1"), NOW).user == "ann"
        serving.body = jwks(jwk(EC, kid="2"))
        rotated = by("2", EC, "ES256")
        for now in (NOW, NOW + MINUTE - 1):
            with pytest.raises(UnknownKey):
                await auth.verify_fresh(rotated, now)
        assert serving.requests == 1
        assert (await auth.verify_fresh(rotated, NOW + MINUTE)).user == "ann"
        assert serving.requests == 2
        with pytest.raises(UnknownKey):
            auth.verify(by("1"), NOW + MINUTE)


async def test_many_who_wait_share_one_fetch_and_one_who_leaves_does_not_end_it() -> None:
    async with issuer(jwks(jwk(ED, kid="1"))) as serving:
        serving.gate.clear()
        auth = Authenticator(Auth(jwks_url=serving.url))
        waiting = [asyncio.create_task(auth.verify_fresh(by("1"), NOW)) for _ in range(20)]
        await until(lambda: serving.requests == 1)
        waiting[0].cancel()
        serving.gate.set()
        found = await asyncio.gather(*waiting[1:])
        assert {identity.user for identity in found} == {"ann"}
        assert serving.requests == 1


async def test_known_keys_outlive_an_outage_and_unknown_ones_may_try_again() -> None:
    async with issuer(jwks(jwk(ED, kid="1"))) as serving:
        auth = Authenticator(Auth(jwks_url=serving.url))
        await auth.verify_fresh(by("1"), NOW)
    assert (await auth.verify_fresh(by("1"), NOW + MINUTE)).user == "ann"
    for now in (NOW + MINUTE, NOW + MINUTE + 1):
        with pytest.raises(KeysUnavailable):
            await auth.verify_fresh(by("2"), now)
    assert auth.verify(by("1"), NOW).user == "ann"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("HTTP/1.1 500 Oops\r\n", jwks(jwk(EC, kid="2"))),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n", b""),
        ("HTTP/1.1 200 OK\r\n", b"<html>"),
        ("HTTP/1.1 200 OK\r\n", jwks()),
        ("HTTP/1.1 200 OK\r\n", jwks(jwk(EC, kid="2")) + b" " * 262_144),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n", b"\x1f\x8b"),
        ("SSH-2.0\r\n", b""),
    ],
)
async def test_a_bad_answer_changes_nothing(head: str, body: bytes) -> None:
    async with issuer(jwks(jwk(ED, kid="1"))) as serving:
        auth = Authenticator(Auth(jwks_url=serving.url))
        await auth.verify_fresh(by("1"), NOW)
        serving.head, serving.body = head, body
        with pytest.raises(KeysUnavailable):
            await auth.verify_fresh(by("2", EC, "ES256"), NOW + MINUTE)
        assert serving.requests == 2
        assert auth.verify(by("1"), NOW).user == "ann"


async def test_a_set_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.auth.keys.FETCH_SECONDS", 0.05)
    async with issuer(b"") as serving:
        serving.gate.clear()
        auth = Authenticator(Auth(jwks_url=serving.url))
        with pytest.raises(KeysUnavailable):
            await auth.verify_fresh(by("1"), NOW)
        serving.gate.set()


async def test_keys_are_read_again_by_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slept: list[float] = []
    wake = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await wake.wait()
        wake.clear()

    path = tmp_path / "keys.json"
    path.write_bytes(jwks(jwk(ED, kid="1")))
    auth = Authenticator(Auth(jwks_file=str(path), jwks_refresh_seconds=600))
    monkeypatch.setattr("realtime.auth.tokens.sleep", sleep)
    keeping = asyncio.create_task(auth.keep_keys_fresh())
    await until(lambda: slept == [600])
    path.write_bytes(jwks(jwk(ED, kid="2")))
    wake.set()
    await until(lambda: slept == [600, 600])
    assert auth.verify(by("2"), NOW).user == "ann"
    with pytest.raises(UnknownKey):
        auth.verify(by("1"), NOW)
    path.unlink()
    wake.set()
    await until(lambda: slept == [600, 600, 60])
    assert auth.verify(by("2"), NOW).user == "ann"
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_a_file_that_changed_is_read_for_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(jwk(ED, kid="1")))
    auth = Authenticator(Auth(jwks_file=str(path)))
    path.write_bytes(json.dumps({"keys": [jwk(ED, kid="2")]}).encode())
    assert (await auth.verify_fresh(by("2"), NOW)).user == "ann"


async def test_without_a_set_there_is_nothing_to_read() -> None:
    auth = Authenticator(Auth(secret=SECRET))
    await auth.keep_keys_fresh()
    with pytest.raises(BadToken):
        await auth.verify_fresh(by("1"), NOW)
    await auth.close()


async def test_closing_ends_a_fetch() -> None:
    async with issuer(b"") as serving:
        serving.gate.clear()
        auth = Authenticator(Auth(jwks_url=serving.url))
        waiting = asyncio.create_task(auth.verify_fresh(by("1"), NOW))
        await until(lambda: serving.requests == 1)
        await auth.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        serving.gate.set()
