"""The settings of a room: defaults and bounds as docs/protocol.md gives them."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import asdict

from rooms.settings import Settings, SettingsPatch, defaults

DEFAULTS = {
    "slow_seconds": 0,
    "write": "members",
    "entitlement": "",
    "invite_only": False,
    "locked": False,
    "emoji_only": False,
    "unique": False,
    "min_account_hours": 0,
    "delay_seconds": 0,
    "history": "visible",
    "max_text": 2_000,
    "policy": "default",
}


def test_defaults() -> None:
    assert asdict(defaults("group")) == DEFAULTS
    assert asdict(defaults("live")) == DEFAULTS | {"write": "everyone"}


def test_a_patch_names_the_settings_in_the_same_terms() -> None:
    assert SettingsPatch.__struct_fields__ == Settings.__struct_fields__
    assert asdict(SettingsPatch()) == dict.fromkeys(DEFAULTS, UNSET)
    assert msgspec.json.encode(SettingsPatch()) == b"{}"


BOUNDS: list[tuple[str, list[Any], list[Any]]] = [
    ("slow_seconds", [0, 21_600], [-1, 21_601, 1.5, "1", None, True]),
    ("write", ["everyone", "members", "entitled", "moderators"], ["", "nobody", "EVERYONE", None, 1]),
    ("entitlement", ["", "x" * 64], ["x" * 65, None, 1]),
    ("invite_only", [True, False], [0, 1, "true", None]),
    ("locked", [True, False], [0, 1, "true", None]),
    ("emoji_only", [True, False], [0, 1, "true", None]),
    ("unique", [True, False], [0, 1, "true", None]),
    ("min_account_hours", [0, 87_600], [-1, 87_601, 2**53, None]),
    ("delay_seconds", [0, 3_600], [-1, 3_601, None]),
    ("history", ["visible", "from_join"], ["", "hidden", None]),
    ("max_text", [1, 16_000], [0, 16_001, None]),
    ("policy", ["default", "none"], ["", "other", None]),
]


def test_every_setting_has_bounds() -> None:
    assert {name for name, _, _ in BOUNDS} == set(DEFAULTS)


@pytest.mark.parametrize(("name", "good", "bad"), BOUNDS, ids=[name for name, _, _ in BOUNDS])
@pytest.mark.parametrize("form", [Settings, SettingsPatch])
def test_bounds(name: str, good: list[Any], bad: list[Any], form: Any) -> None:
    for value in good:
        assert getattr(msgspec.convert({name: value}, form), name) == value
    for value in bad:
        with pytest.raises(msgspec.ValidationError, match=rf"at `\$\.{name}`"):
            msgspec.convert({name: value}, form)


@pytest.mark.parametrize(("name", "good", "bad"), BOUNDS, ids=[name for name, _, _ in BOUNDS])
def test_a_patch_changes_what_it_names_alone(name: str, good: list[Any], bad: list[Any]) -> None:
    new = good[-1] if good[-1] != DEFAULTS[name] else good[0]
    patch = msgspec.convert({name: new}, SettingsPatch)
    assert patch.named() == {name: new}
    assert asdict(patch.on(Settings())) == DEFAULTS | {name: new}
    assert patch.changes(Settings()) == patch
    assert patch.changes(patch.on(Settings())) == SettingsPatch()
    assert msgspec.json.decode(msgspec.json.encode(patch)) == {name: new}


def test_saying_the_default_is_saying_something() -> None:
    """Else a setting could never be taken back."""
    patch = SettingsPatch(locked=False, slow_seconds=0, entitlement="")
    assert patch.named() == {"locked": False, "slow_seconds": 0, "entitlement": ""}
    assert msgspec.json.decode(msgspec.json.encode(patch)) == patch.named()
