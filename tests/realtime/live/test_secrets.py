"""What is encrypted reads as nothing, and only for whom it was; the key is made once, and kept to its owner."""

import stat
from pathlib import Path

import pytest

from realtime.live.keys import digest
from realtime.live.secrets import Secrets, configured
from rooms.errors import Rejected
from tests.support.server import config


def test_what_is_encrypted_is_bound_to_whom_it_is_of() -> None:
    secrets = Secrets("a")
    sealed = secrets.encrypt("hush", "ann", "1")
    assert b"hush" not in sealed
    assert sealed != secrets.encrypt("hush", "ann", "1")
    assert secrets.decrypt(sealed, "ann", "1") == "hush"
    for other, of in ((secrets, ("bob", "1")), (secrets, ("ann1", "")), (Secrets("b"), ("ann", "1"))):
        with pytest.raises(Rejected, match=r"another \[secrets\] key"):
            other.decrypt(sealed, *of)


def test_without_a_key_what_needs_it_names_the_setting(tmp_path: Path) -> None:
    shared = config(tmp_path, {"GALAXY_STORE__URL": "postgresql://galaxy@localhost/galaxy"})
    with pytest.raises(Rejected, match=r"\[secrets\] key"):
        configured(shared).encrypt("hush", "ann")
    assert not (tmp_path / "secrets").exists()


def test_the_key_is_made_once(tmp_path: Path) -> None:
    first = configured(config(tmp_path)).derive(b"x", "ann")
    assert configured(config(tmp_path)).derive(b"x", "ann") == first
    file = tmp_path / "secrets" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    given = configured(config(tmp_path, {"GALAXY_SECRETS__KEY": "k" * 32}))
    assert given.derive(b"x", "ann") == Secrets("k" * 32).derive(b"x", "ann") != first


def test_a_hash_does_not_give_the_key_away() -> None:
    assert digest("key") != digest("Key")
    assert len(digest("key")) == 32
