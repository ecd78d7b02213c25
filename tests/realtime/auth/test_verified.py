from pathlib import Path

import pytest
from jwt.api_jws import PyJWS

from realtime.auth import Authenticator, BadToken, ExpiredToken, UnknownKey
from realtime.auth.verified import Verified
from realtime.config import Auth
from tests.realtime.auth.material import CLAIMS, NOW, SECRET, jwk, jwks, private_key, signed

END = CLAIMS["exp"] * 1_000


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were checked."""
    tokens: list[str] = []
    decode = PyJWS.decode

    def counted(self: PyJWS, jwt: str, *args: object, **kwargs: object) -> object:
        tokens.append(jwt)
        return decode(self, jwt, *args, **kwargs)  # type: ignore[arg-type]  # as the library is called

    monkeypatch.setattr(PyJWS, "decode", counted)
    return tokens


def test_a_good_signature_is_checked_once(checked: list[str]) -> None:
    auth = Authenticator(Auth(secret=SECRET))
    ann, bob = signed(), signed(sub="bob")
    for _ in range(3):
        assert auth.verify(ann, NOW).user == "ann"
        assert auth.verify(bob, NOW).user == "bob"
    assert checked == [ann, bob]


def test_a_bad_signature_is_checked_each_time(checked: list[str]) -> None:
    auth = Authenticator(Auth(secret=SECRET))
    forged = signed("another secret of thirty-two bytes or more")
    for _ in range(2):
        with pytest.raises(BadToken):
            auth.verify(forged, NOW)
    assert checked == [forged, forged]


def test_a_known_token_ends_when_it_says(checked: list[str]) -> None:
    auth = Authenticator(Auth(secret=SECRET))
    token = signed(nbf=NOW // 1_000)
    assert auth.verify(token, END - 1).user == "ann"
    with pytest.raises(ExpiredToken):
        auth.verify(token, END)
    with pytest.raises(BadToken, match="not valid yet"):
        auth.verify(token, NOW - 2_000)


async def test_a_known_token_goes_with_its_key(tmp_path: Path) -> None:
    first, second = private_key("EdDSA", 1), private_key("EdDSA", 2)
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(jwk(first, kid="1")))
    auth = Authenticator(Auth(jwks_file=str(path)))
    old, new = (signed(key, "EdDSA", header={"kid": kid}) for key, kid in ((first, "1"), (second, "2")))
    assert auth.verify(old, NOW).user == "ann"
    path.write_bytes(jwks(jwk(second, kid="2")))
    assert (await auth.verify_fresh(new, NOW)).user == "ann"
    with pytest.raises(UnknownKey):
        auth.verify(old, NOW)


def test_the_least_recently_used_goes_first() -> None:
    known = Verified(tokens=2)
    known.add("a", b"A")
    known.add("b", b"B")
    assert known.get("a") == b"A"
    known.add("c", b"C")
    assert [known.get(token) for token in "abc"] == [b"A", None, b"C"]


def test_payloads_are_bounded_in_bytes() -> None:
    known = Verified(size=10)
    known.add("a", b"1234")
    known.add("b", b"1234")
    known.drop("a")
    known.drop("never added")
    known.add("c", b"123456")
    assert len(known) == 2
    known.add("d", b"1")
    assert [known.get(token) for token in "bcd"] == [None, b"123456", b"1"]
    known.add("e", b"12345678901")
    assert len(known) == 0
