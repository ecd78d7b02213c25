import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from realtime.auth import Authenticator, BadToken, ExpiredToken, Identity, UnknownKey, issue
from realtime.config import Auth, ConfigError
from tests.realtime.auth.material import CLAIMS, NOW, SECRET, jwk, jwks, private_key, private_pem, public_pem, signed

HS256 = Authenticator(Auth(secret=SECRET))


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def by_hand(header: object, payload: bytes, key: bytes = SECRET.encode()) -> str:
    """What no library would sign."""
    signing = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    return f"{signing}.{b64(hmac.digest(key, signing.encode(), 'sha256'))}"


def pem_file(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    return str(path)


def test_all_claims_reach_the_identity() -> None:
    token = signed(
        name="Ann 安",
        avatar="https://a.example/a.png",
        roles=["admin"],
        rooms={"r:1": "owner", "r2": "member"},
        kyc=True,
        tier="gold",
        entitlements=["vip", "beta"],
        created=1_700_000_000,
        iat=NOW / 1000,
        more={"of": "the app's own"},
    )
    assert HS256.verify(token, NOW) == Identity(
        user="ann",
        name="Ann 安",
        avatar="https://a.example/a.png",
        roles=frozenset({"admin"}),
        rooms={"r:1": "owner", "r2": "member"},
        kyc=True,
        tier="gold",
        entitlements=frozenset({"vip", "beta"}),
        created_ms=1_700_000_000_000,
        issued_ms=NOW,
        expires_ms=CLAIMS["exp"] * 1000,
    )


def test_only_sub_and_exp_are_needed() -> None:
    found = HS256.verify(signed(), NOW)
    assert found == Identity(user="ann", name="ann", expires_ms=CLAIMS["exp"] * 1000)
    assert not found.admin
    assert HS256.verify(by_hand({"alg": "HS256"}, json.dumps({**CLAIMS, "name": None}).encode()), NOW) == found


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_file(algorithm: str, tmp_path: Path) -> None:
    key = private_key(algorithm)
    auth = Authenticator(Auth(public_key_file=pem_file(tmp_path, public_pem(key))))
    assert auth.verify(signed(key, algorithm), NOW).user == "ann"
    assert auth.verify(signed(key, algorithm, header={"kid": "any"}), NOW).user == "ann"
    with pytest.raises(BadToken, match="signature is wrong"):
        auth.verify(signed(private_key(algorithm, 1), algorithm), NOW)


def test_a_secret_and_a_file_may_both_be_good(tmp_path: Path) -> None:
    auth = Authenticator(Auth(secret=SECRET, public_key_file=pem_file(tmp_path, public_pem(private_key("EdDSA")))))
    assert auth.verify(signed(), NOW) == auth.verify(signed(private_key("EdDSA"), "EdDSA"), NOW)


def test_an_expired_token_is_told_apart() -> None:
    end = CLAIMS["exp"] * 1000
    assert HS256.verify(signed(), end - 1).expires_ms == end
    with pytest.raises(ExpiredToken):
        HS256.verify(signed(), end)


def test_leeway_moves_both_ends() -> None:
    auth = Authenticator(Auth(secret=SECRET, leeway_seconds=5))
    end = (CLAIMS["exp"] + 5) * 1000
    assert auth.verify(signed(), end - 1).expires_ms == end
    with pytest.raises(ExpiredToken):
        auth.verify(signed(), end)
    later = signed(nbf=NOW / 1000 + 5)
    assert auth.verify(later, NOW).user == "ann"
    with pytest.raises(BadToken, match="nbf"):
        HS256.verify(later, NOW)


@pytest.mark.parametrize(
    ("issuer", "good"), [("https://id.example", True), ("https://evil.example", False), (None, False)]
)
def test_the_issuer_is_checked_where_set(issuer: str | None, good: bool) -> None:
    auth = Authenticator(Auth(secret=SECRET, issuer="https://id.example"))
    token = signed(iss=issuer)
    assert HS256.verify(token, NOW)
    if good:
        assert auth.verify(token, NOW)
    else:
        with pytest.raises(BadToken, match="iss"):
            auth.verify(token, NOW)


@pytest.mark.parametrize(
    ("audience", "good"),
    [("chat", True), (["x", "chat"], True), ("chats", False), (["x"], False), ([], False), (None, False)],
)
def test_the_audience_is_checked_where_set(audience: Any, good: bool) -> None:
    auth = Authenticator(Auth(secret=SECRET, audience="chat"))
    token = signed(aud=audience)
    assert HS256.verify(token, NOW)
    if good:
        assert auth.verify(token, NOW)
    else:
        with pytest.raises(BadToken, match="aud"):
            auth.verify(token, NOW)


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"sub": None}, "Missing claim sub"),
        ({"exp": None}, "Missing claim exp"),
        ({"sub": ""}, "Claim sub: "),
        ({"sub": "a" * 129}, "Claim sub: "),
        ({"sub": "a\nb"}, "Claim sub holds a control character"),
        ({"sub": "a\u2028b"}, "Claim sub holds a control character"),
        ({"name": "a\x00b"}, "Claim name holds a control character"),
        ({"name": "a" * 129}, "Claim name: "),
        ({"avatar": "a" * 2049}, "Claim avatar: "),
        ({"avatar": ["a"]}, "Claim avatar: expected str | null, got array"),
        ({"exp": True}, "Claim exp: "),
        ({"exp": -1}, "Claim exp: "),
        ({"exp": NOW}, "Claim exp: "),
        ({"nbf": "now"}, "Claim nbf: "),
        ({"iat": "now"}, "Claim iat: "),
        ({"created": []}, "Claim created: "),
        ({"roles": "admin"}, "Claim roles: "),
        ({"roles": ["admin", 1]}, "Claim roles[1]: "),
        ({"rooms": ["r1"]}, "Claim rooms: "),
        ({"rooms": {"r1": "king"}}, "Claim rooms: invalid enum value 'king'"),
        ({"rooms": {"r1": "none"}}, "Claim rooms: "),
        ({"rooms": {"r 1": "owner"}}, "Claim rooms: a key is no room id"),
        ({"kyc": "yes"}, "Claim kyc: expected bool, got str"),
        ({"tier": 1}, "Claim tier: "),
        ({"entitlements": {"a": 1}}, "Claim entitlements: "),
        ({"aud": 1}, "Claim aud: "),
        ({"iss": 1}, "Claim iss: "),
    ],
)
def test_a_bad_claim_is_named(claims: dict[str, Any], named: str) -> None:
    payload = json.dumps({k: v for k, v in {**CLAIMS, **claims}.items() if v is not None}).encode()
    with pytest.raises(BadToken) as caught:
        HS256.verify(by_hand({"alg": "HS256"}, payload), NOW)
    assert str(caught.value).startswith(named)
    assert not isinstance(caught.value, ExpiredToken)


@pytest.mark.parametrize("length", [1, 128])
def test_a_sub_may_have_1_to_128_characters(length: int) -> None:
    assert HS256.verify(signed(sub="😀" * length), NOW).user == "😀" * length


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b"\xff",
        b'{"sub":"a","exp":1e999}',
        b'{"x":' + b"[" * 2500 + b"]" * 2500 + b"}",
    ],
)
def test_a_payload_that_is_no_object(payload: bytes) -> None:
    with pytest.raises(BadToken):
        HS256.verify(by_hand({"alg": "HS256"}, payload), NOW)


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", "HS384", "HS512", "RS256", "PS256", "XX"])
def test_another_algorithm_than_the_keys_is_refused(algorithm: str) -> None:
    payload = json.dumps(CLAIMS).encode()
    unsigned = by_hand({"alg": algorithm}, payload).rpartition(".")[0] + "."
    for token in (by_hand({"alg": algorithm}, payload), unsigned):
        with pytest.raises(BadToken):
            HS256.verify(token, NOW)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_no_secret(algorithm: str, tmp_path: Path) -> None:
    """Algorithm confusion: HS256 signed with the public key, which everybody has."""
    pem = public_pem(private_key(algorithm))
    auth = Authenticator(Auth(public_key_file=pem_file(tmp_path, pem)))
    for secret in (pem, pem.strip()):
        with pytest.raises(BadToken, match="algorithm is not the key's"):
            auth.verify(by_hand({"alg": "HS256"}, json.dumps(CLAIMS).encode(), secret), NOW)


def test_an_algorithm_the_configured_key_is_not_for(tmp_path: Path) -> None:
    auth = Authenticator(Auth(public_key_file=pem_file(tmp_path, public_pem(private_key("RS256")))))
    for algorithm in ("PS256", "RS384", "RS512"):
        with pytest.raises(BadToken, match="algorithm is not the key's"):
            auth.verify(signed(private_key("RS256"), algorithm), NOW)


def test_keys_that_the_token_brings_along_have_no_effect() -> None:
    mine = private_key("EdDSA", 7)
    header = {
        "jku": "http://127.0.0.1:1/keys",
        "x5u": "http://127.0.0.1:1/cert",
        "jwk": jwk(mine),
        "x5c": ["MIIB"],
        "kid": "../../dev/null",
    }
    with pytest.raises(BadToken):
        HS256.verify(signed(mine, "EdDSA", header=header), NOW)
    assert HS256.verify(signed(header=header), NOW).user == "ann"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "crit": ["exp"], "exp": 1},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        {"alg": "HS256", "kid": 1},
        {"alg": ["HS256"]},
        {},
        [],
        "HS256",
    ],
)
def test_a_header_that_cannot_be_honoured_is_refused(header: object) -> None:
    with pytest.raises(BadToken):
        HS256.verify(by_hand(header, json.dumps(CLAIMS).encode()), NOW)


def test_a_token_has_a_bounded_size() -> None:
    with pytest.raises(BadToken, match="8192"):
        HS256.verify(signed(more="x" * 8192), NOW)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "a" * 100, "é.é.é", "\ud800", "{}", signed() + "x", signed()[:-1]]
)
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(BadToken) as caught:
        HS256.verify(token, NOW)
    assert not isinstance(caught.value, ExpiredToken | UnknownKey)


@given(
    st.text() | st.lists(st.binary(max_size=60), min_size=2, max_size=4).map(lambda parts: ".".join(map(b64, parts)))
)
def test_any_text_is_refused_by_a_bad_token_and_nothing_else(token: str) -> None:
    with pytest.raises(BadToken):
        HS256.verify(token, NOW)


@given(st.integers(0, len(signed()) - 1), st.characters(codec="ascii"))
def test_a_changed_character_is_refused(at: int, char: str) -> None:
    token = signed()
    changed = token[:at] + char + token[at + 1 :]
    if changed != token:
        with pytest.raises(BadToken):
            HS256.verify(changed, NOW)


def test_the_refusal_shows_nothing_of_the_token() -> None:
    with pytest.raises(BadToken) as caught:
        HS256.verify(signed(sub="p\nrivate"), NOW)
    assert "rivate" not in str(caught.value)


def test_an_issued_token_is_accepted() -> None:
    auth = Auth(secret=SECRET, issuer="i", audience="a")
    token = issue(
        SECRET, "ann", now_ms=NOW, ttl_seconds=60, name="Ann", roles=["admin"], rooms={"r": "owner"}, issuer="i",
        audience="a", tier="gold",
    )  # fmt: skip
    found = Authenticator(auth).verify(token, NOW)
    assert (found.name, found.admin, found.rooms, found.tier) == ("Ann", True, {"r": "owner"}, "gold")
    assert (found.issued_ms, found.expires_ms) == (NOW, NOW + 60_000)


def test_what_would_not_be_accepted_is_not_issued() -> None:
    with pytest.raises(BadToken, match="sub"):
        issue(SECRET, "", now_ms=NOW)
    with pytest.raises(BadToken, match="rooms"):
        issue(SECRET, "ann", now_ms=NOW, rooms={"r": "king"})


@pytest.mark.parametrize(
    ("setting", "content", "says"),
    [
        ("public_key_file", b"nothing", "holds no public key in PEM"),
        ("public_key_file", private_pem(private_key("EdDSA")), "holds a private key"),
        ("public_key_file", public_pem(private_key("small RS256")), "RSA of 2,048 bits"),
        ("public_key_file", public_pem(private_key("ES384")), "P-256"),
        ("jwks_file", b"{}", "no JSON Web Key Set"),
        ("jwks_file", b'{"keys":[]}', "no key that this server can use"),
        ("jwks_file", jwks(*[jwk(private_key("EdDSA"))] * 65), "more than 64 keys"),
        ("jwks_file", b" " * 262_145, "larger than 262144 bytes"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_named(setting: str, content: bytes, says: str, tmp_path: Path) -> None:
    path = pem_file(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        Authenticator(replace(Auth(), **{setting: path}))
    assert str(caught.value).startswith(f"[auth] {setting}: {path}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("setting", ["public_key_file", "jwks_file"])
def test_a_key_file_that_is_not_there_is_named(setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[auth\] {setting}: /nowhere: No such file"):
        Authenticator(replace(Auth(), **{setting: "/nowhere"}))
