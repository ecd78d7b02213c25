"""Keys and tokens for the tests of auth."""

import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NOW = 1_795_367_182_123
SECRET = "a secret of at least thirty-two bytes"
CLAIMS: dict[str, Any] = {"sub": "ann", "exp": NOW // 1000 + 600}

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@cache
def private_key(algorithm: str, number: int = 0) -> PrivateKey:
    """The same key each time for the same `number`."""
    match algorithm:
        case "RS256":
            return generate_rsa(65_537, 2_048)
        case "small RS256":
            return generate_rsa(65_537, 1_024)  # noqa: S505  # what must be refused
        case "ES256":
            return generate_private_key(SECP256R1())
        case "ES384":
            return generate_private_key(SECP384R1())
        case _:
            return Ed25519PrivateKey.generate()


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(key: PrivateKey, **members: object) -> dict[str, object]:
    match key:
        case RSAPrivateKey():
            shown: dict[str, object] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case EllipticCurvePrivateKey():
            shown = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            shown = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**{k: v for k, v in shown.items() if k != "key_ops"}, **members}


def jwks(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def signed(key: PrivateKey | str = SECRET, algorithm: str = "HS256", *, header: Any = None, **claims: object) -> str:
    """A token with CLAIMS, and those of `claims` over them; None leaves a claim out."""
    merged = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(merged, key, algorithm, headers=header)
