"""Secrets the server makes for itself and keeps in the data folder."""

import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from realtime.config import Config, ConfigError
from realtime.config_checks import MIN_SECRET_BYTES

DEV_SECRET_FILE = "dev-secret"  # noqa: S105  # a file name
TICKET_SECRET_FILE = "ticket-secret"  # noqa: S105  # a file name


def kept_secret(path: Path, *, make: bool = True) -> str:
    """The secret of this file (mode 0600), made at first use, whole or not at all, by whichever process is first.

    Raises ConfigError where the file cannot be read or made, is missing (without `make`), or holds no secret.
    """
    try:
        if make and not path.exists():
            _make(path)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or 'not a secret of this server'}") from error
    if len(text) < MIN_SECRET_BYTES:
        raise ConfigError(f"{path}: not a secret of this server; delete the file to have a new one made")
    return text


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(file, "w") as out:
            out.write(secrets.token_urlsafe(48) + "\n")
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):  # another process was first: its secret is the one
            os.link(name, path)
    finally:
        os.unlink(name)


def ticket_secret(config: Config) -> bytes:
    """What tickets are signed with: derived from the shared secret, so all nodes agree, else kept in the folder."""
    base = config.auth.secret or kept_secret(config.data / TICKET_SECRET_FILE)
    return hmac.digest(base.encode(), b"galaxy-live ticket v1", "sha256")
