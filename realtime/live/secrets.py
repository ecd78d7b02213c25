"""What stream keys are derived from and destinations' keys are encrypted by: `[secrets] key`, outside the database."""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from realtime.auth.secrets import kept_secret
from realtime.config import Config
from rooms.errors import Rejected

FOLDER = "secrets"
_NONCE_BYTES = 12


class Secrets:
    """`key` None: there is none, and what needs one is refused."""

    def __init__(self, key: str | None):
        self._key = key.encode() if key is not None else None

    def derive(self, label: bytes, *of: str) -> bytes:
        """32 bytes for this purpose, HMAC-SHA256 of texts, of which each is told from the next. Raises Rejected."""
        framed = b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in of)
        return hmac.digest(self._required(), b"galaxy-live " + label + b":" + framed, "sha256")

    def encrypt(self, text: str, *bound_to: str) -> bytes:
        """AES-256-GCM (NIST SP 800-38D) under a random nonce: can be read only with the same texts. Raises Rejected."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher(bound_to).encrypt(nonce, text.encode(), None)

    def decrypt(self, secret: bytes, *bound_to: str) -> str:
        """Raises Rejected, also where it was encrypted under another key."""
        try:
            return self._cipher(bound_to).decrypt(secret[:_NONCE_BYTES], secret[_NONCE_BYTES:], None).decode()
        except InvalidTag:
            raise Rejected(
                "unavailable", "This was encrypted under another [secrets] key than the server has now."
            ) from None

    def _cipher(self, bound_to: tuple[str, ...]) -> AESGCM:
        return AESGCM(self.derive(b"encryption v1", *bound_to))

    def _required(self) -> bytes:
        if self._key is None:
            raise Rejected("unavailable", "This needs [secrets] key in the server's configuration.")
        return self._key


def configured(config: Config) -> Secrets:
    """Of `[secrets] key`; else of DATA/secrets/key, made at the first start (mode 0600), where the store is SQLite.

    Raises ConfigError where that file cannot be read or made.
    """
    if config.secrets.key:
        return Secrets(config.secrets.key)
    if config.store.on_postgresql:
        return Secrets(None)
    folder = config.data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Secrets(kept_secret(folder / "key"))
