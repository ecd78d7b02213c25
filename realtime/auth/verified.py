"""Tokens whose signatures were found good: who reconnects need not be verified again."""

import hashlib
from collections import OrderedDict

TOKENS = 32_768
BYTES = 16_777_216
"""How many tokens are known, and how many bytes their payloads take in all; beyond, the least recently used goes."""


class Verified:
    """Payloads by their token's digest: what is held opens no door. Times in them are for the caller to check."""

    def __init__(self, tokens: int = TOKENS, size: int = BYTES) -> None:
        self._tokens = tokens
        self._size = size
        self._held = 0
        self._payloads: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._payloads)

    def get(self, token: str) -> bytes | None:
        """The payload of a token that was `add`ed."""
        digest = _digest(token)
        payload = self._payloads.get(digest)
        if payload is not None:
            self._payloads.move_to_end(digest)
        return payload

    def add(self, token: str, payload: bytes) -> None:
        """To be called once a signature is checked, where `get` has found nothing."""
        self._payloads[_digest(token)] = payload
        self._held += len(payload)
        while len(self._payloads) > self._tokens or self._held > self._size:
            self._held -= len(self._payloads.popitem(last=False)[1])

    def drop(self, token: str) -> None:
        self._held -= len(self._payloads.pop(_digest(token), b""))

    def clear(self) -> None:
        """The keys are others now."""
        self._payloads.clear()
        self._held = 0


def _digest(token: str) -> bytes:
    return hashlib.blake2b(token.encode(), digest_size=32).digest()
