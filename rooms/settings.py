"""The settings of a room, their bounds and defaults."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

SlowSeconds = Annotated[int, Meta(ge=0, le=21_600)]
AccountHours = Annotated[int, Meta(ge=0, le=87_600)]
DelaySeconds = Annotated[int, Meta(ge=0, le=3_600)]
MaxText = Annotated[int, Meta(ge=1, le=16_000)]
Entitlement = Annotated[str, Meta(max_length=64)]
Write = Literal["everyone", "members", "entitled", "moderators"]
History = Literal["visible", "from_join"]
PolicyName = Literal["default", "none"]


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of one room; the protocol page says what each means."""

    slow_seconds: SlowSeconds = 0
    write: Write = "members"
    entitlement: Entitlement = ""
    invite_only: bool = False
    locked: bool = False
    emoji_only: bool = False
    unique: bool = False
    min_account_hours: AccountHours = 0
    delay_seconds: DelaySeconds = 0
    history: History = "visible"
    max_text: MaxText = 2_000
    policy: PolicyName = "default"


class SettingsPatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some settings, to be changed; what is unset stays."""

    slow_seconds: SlowSeconds | UnsetType = UNSET
    write: Write | UnsetType = UNSET
    entitlement: Entitlement | UnsetType = UNSET
    invite_only: bool | UnsetType = UNSET
    locked: bool | UnsetType = UNSET
    emoji_only: bool | UnsetType = UNSET
    unique: bool | UnsetType = UNSET
    min_account_hours: AccountHours | UnsetType = UNSET
    delay_seconds: DelaySeconds | UnsetType = UNSET
    history: History | UnsetType = UNSET
    max_text: MaxText | UnsetType = UNSET
    policy: PolicyName | UnsetType = UNSET

    def named(self) -> dict[str, Any]:
        """Setting name → new value, of those that are set."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}

    def changes(self, settings: Settings) -> "SettingsPatch":
        """This patch without what `settings` already says."""
        return SettingsPatch(**{k: v for k, v in self.named().items() if getattr(settings, k) != v})

    def on(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, **self.named())


def defaults(kind: str) -> Settings:
    """The settings a new room of this kind starts with."""
    return Settings(write="everyone" if kind == "live" else "members")
