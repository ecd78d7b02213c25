"""A gateway, publishers and outputs that do as a test says, and units to send."""

from collections.abc import Iterator
from typing import Any, Literal

from relay.ports import Admitted, Claim, Reason, Received, Recorded, Refused
from relay.units import HZ, AudioConfig, Unit, VideoConfig

VIDEO = VideoConfig("h264", 640, 360, (b"\x67\x42\xe0\x1f",), (b"\x68\xce",))
AUDIO = AudioConfig("aac", 48_000, 2, b"\x11\x90")
FRAME = HZ // 30


def video(at: int, *, key: bool = False, config: VideoConfig = VIDEO, data: bytes = b"v" * 100) -> Unit:
    return Unit("video", at, at, data, key, config)


def audio(at: int, config: AudioConfig = AUDIO) -> Unit:
    return Unit("audio", at, at, b"a" * 20, True, config)


def units(seconds: float, *, start: int = 0, keyframe_every: float = 1.0) -> Iterator[Unit]:
    """Both tracks in order."""
    every = round(keyframe_every * 30)
    found = [video(start + i * FRAME, key=i % every == 0) for i in range(round(seconds * 30))]
    sounds = [audio(start + at) for at in range(0, round(seconds * HZ), 1_920)]
    return iter(sorted([*found, *sounds], key=lambda unit: unit.dts))


class StagedGate:
    """Admits every key as the room of that name. `away`: as if no gateway answered."""

    def __init__(self) -> None:
        self.away = False
        self.refusal: Refused | None = None
        self.session = "s1"
        self.fence = 0
        self.told: list[tuple[object, ...]] = []
        self.reports: list[dict[str, Any]] = []

    def _hear(self, *what: object) -> None:
        if self.away:
            raise Refused("unavailable", "no gateway")
        self.told.append(what)

    async def admit(self, claim: Claim) -> Admitted:
        self._hear("admit", claim.key)
        if self.refusal is not None:
            raise self.refusal
        self.fence += 1
        return Admitted(claim.key, "ana", self.session, self.fence, "Title")

    async def flowing(self, room: str, session: str, fence: int) -> None:
        self._hear("flowing", room, session, fence)
        if self.refusal is not None:
            raise self.refusal

    async def left(self, room: str, session: str, fence: int, reason: Reason) -> None:
        self._hear("left", room, session, fence, reason)

    async def recorded(self, recording: Recorded) -> None:
        self._hear("recorded", recording)

    async def report(self, room: str, user: str, event: dict[str, Any]) -> None:
        if self.away:
            raise Refused("unavailable", "no gateway")
        self.reports.append(event)


class StagedPublisher:
    def __init__(self, kind: Literal["whip", "rtmp"] = "rtmp") -> None:
        self.kind: Literal["whip", "rtmp"] = kind
        self.asked = 0
        self.closed: Reason | None = None

    def ask_keyframe(self) -> None:
        self.asked += 1

    def close(self, reason: Reason) -> None:
        self.closed = reason

    def received(self) -> Received:
        return Received(0)


class StagedOutput:
    def __init__(self, audio: Literal["aac", "opus"] = "aac") -> None:
        self.audio: Literal["aac", "opus"] = audio
        self.wants_keyframe = False
        self.units: list[Unit] = []
        self.events: list[str] = []
        self.fails = False

    def unit(self, unit: Unit) -> None:
        if self.fails:
            raise ValueError("broken")
        self.units.append(unit)

    def interrupted(self) -> None:
        self.events.append("interrupted")

    def ended(self, reason: Reason) -> None:
        self.events.append(f"ended {reason}")
