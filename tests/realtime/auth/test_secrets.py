import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from realtime.auth import kept_secret
from realtime.config import ConfigError


def test_a_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "dev-secret"
    secret = kept_secret(path)
    assert len(secret) >= 32
    assert kept_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["dev-secret"]


def test_all_who_start_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(kept_secret, [tmp_path / "dev-secret"] * 32))) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64])
def test_a_file_that_holds_none_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dev-secret"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"dev-secret: not a secret of this server"):
        kept_secret(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        kept_secret(tmp_path / "file" / "dev-secret")
