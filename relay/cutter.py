"""Cuts a stream into parts and segments. Pure.

Parts are cut on the media clock, by what comes after them, whether or not each track has samples, and at a frame of the
picture where one comes in time. So a silent or missing track holds nothing back, and when nothing comes, nothing is
cut: what a line that stood still brings then is in parts as long as it is. A keyframe begins a part and, after two
seconds, a segment.
"""

from bisect import bisect_left

from relay import cmaf
from relay.parts_values import (
    LONGEST_PART,
    LONGEST_SEGMENT,
    SHORTEST_PART,
    SHORTEST_SEGMENT,
    Cut,
    Init,
    Keyframes,
    Part,
    SegmentEnded,
)
from relay.units import HZ, AudioConfig, Unit, VideoConfig

LEARNING = HZ // 2
"""How long, after the first unit, the other track is waited for: the init segment has to name both."""
MISSING = 5 * HZ
"""Without units for so long, a track that other tracks go on without is left out, or players would wait for it."""
SKEW = HZ // 10
"""How far behind the sound the picture may come and still find its part open."""
LEAP = MISSING
"""A hole of more than that is a gap, which no parts are made for."""
MOST_KEYFRAME_SECONDS = 10.0
"""Between keyframes, for low latency."""
_FRAME = HZ // 30


class Cutter:
    """One stream's. What its calls return is in order, and begins with an Init."""

    def __init__(self) -> None:
        self._inits = 0
        self._sequence = 0
        self._video: VideoConfig | None = None
        self._audio: AudioConfig | None = None
        # While the tracks are being learned: what has come.
        self._learning: list[Unit] | None = []
        self._msn = -1
        self._segment = 0
        self._index = 0
        self._part = 0
        self._discontinuity = False
        self._discontinuities = 0
        self._keyed = False
        self._units: dict[str, list[Unit]] = {"video": [], "audio": []}
        # How long each track's last unit lasts: until the next, or as long as the one before.
        self._last: dict[str, int] = {"video": _FRAME, "audio": 0}
        self._seen: dict[str, int | None] = {"video": None, "audio": None}
        self._first = 0
        self._keyframe: int | None = None
        self._often = True

    @property
    def wants_keyframe(self) -> bool:
        """Nothing can be cut until one comes."""
        return self._learning is not None

    def unit(self, unit: Unit) -> list[Cut]:
        """What the next unit ends. VP8 is not for MP4: it is left out."""
        if unit.config.codec not in ("h264", "aac"):
            return []
        if self._learning is not None:
            return self._learn(unit)
        out: list[Cut] = []
        config = self._video if unit.kind == "video" else self._audio
        if unit.config is not config and unit.config != config and (unit.kind == "audio" or unit.key):
            return self._begin_anew(unit)
        if unit.config != config:
            return []  # to be decoded by a keyframe that did not come
        if unit.dts < self._first:
            return []  # sound from before the first picture
        if self._leaps(unit) or self._lost_track(unit):
            return self._begin_anew(unit)
        if unit.kind == "video":
            out += self._keyframes(unit)
        self._cut_before(unit, out)
        self._seen[unit.kind] = unit.dts
        self._units[unit.kind].append(unit)
        return out

    def flush(self) -> list[Cut]:
        """Ends part and segment: nothing more comes for now, or something else."""
        out: list[Cut] = []
        if self._learning is None:
            end = self._end()
            while end - self._part > LONGEST_PART:
                self._cut(self._part + LONGEST_PART, out)
            if end > self._part and any(self._units.values()):
                self._cut(end, out)
            self._end_segment(out)
        for units in self._units.values():
            units.clear()
        self._learning = []
        self._keyframe = None
        return out

    # Which tracks there are

    def _begin_anew(self, unit: Unit) -> list[Cut]:
        before = self._seen[unit.kind]
        if before is not None:
            self._last[unit.kind] = min(self._last[unit.kind], unit.dts - before)
        return [*self.flush(), *self._learn(unit)]

    def _learn(self, unit: Unit) -> list[Cut]:
        if self._learning is None:
            self._learning = []
        self._learning.append(unit)
        first = self._learning[0]
        kinds = {one.kind for one in self._learning}
        if len(kinds) == 2 or unit.dts - first.dts > LEARNING:
            return self._begin()
        return []

    def _begin(self) -> list[Cut]:
        """With the first keyframe, where there is a picture."""
        waiting = self._learning or []
        pictures = [unit for unit in waiting if unit.kind == "video"]
        first = next((unit for unit in pictures if unit.key), None) if pictures else waiting[0]
        if first is None:
            # Bounded: what is from before the keyframe is of no use, but it may come long after the sound of its time.
            self._learning = [unit for unit in waiting if waiting[-1].dts - unit.dts < MISSING][-1_000:]
            return []
        self._learning = None
        out: list[Cut] = []
        video = first.config if isinstance(first.config, VideoConfig) else None
        audio = next((unit.config for unit in waiting if isinstance(unit.config, AudioConfig)), None)
        if self._inits == 0 or video != self._video or audio != self._audio:
            self._inits += 1
            self._video, self._audio = video, audio
            if audio is not None:
                self._last["audio"] = round(1_024 * HZ / audio.rate)
            out.append(self._init())
        self._discontinuity = self._discontinuity or self._msn >= 0
        start = max(first.dts, self._part)  # how long the unit before lasted was a guess
        self._open_segment(start)
        self._part = start
        self._seen, self._first = {"video": None, "audio": None}, first.dts
        for unit in sorted(waiting, key=lambda unit: unit.dts):  # a track far ahead would begin anew before the other
            if unit.dts >= first.dts:
                out += self.unit(unit)
        return out

    def _init(self) -> Init:
        video, audio = self._video, self._audio
        return Init(
            self._inits,
            cmaf.init_segment(video, audio),
            cmaf.init_segment(None, audio) if audio is not None else b"",
            cmaf.codecs(video, audio),
            video.width if video is not None else 0,
            video.height if video is not None else 0,
        )

    def _lost_track(self, unit: Unit) -> bool:
        other = "audio" if unit.kind == "video" else "video"
        there = self._audio if other == "audio" else self._video
        seen = self._seen[other]
        since = unit.dts - (self._first if seen is None else seen)
        return there is not None and since > MISSING and (unit.kind == "audio" or unit.key)

    def _leaps(self, unit: Unit) -> bool:
        """A track that goes on far behind where it was, and all else with it."""
        before = self._seen[unit.kind]
        return before is not None and unit.dts - max(before, self._part + LONGEST_PART) > LEAP

    # Where to cut

    def _keyframes(self, unit: Unit) -> list[Cut]:
        before = self._keyframe
        if unit.key or before is None:
            self._keyframe = unit.dts
        seconds = 0.0 if before is None else (unit.dts - before) / HZ
        often = seconds <= MOST_KEYFRAME_SECONDS
        if often != self._often and (unit.key or not often):
            self._often = often
            return [Keyframes(often, seconds)]
        return []

    def _cut_before(self, unit: Unit, out: list[Cut]) -> None:
        """What has to be cut before this unit is in."""
        leads = unit.kind == "video" or self._video is None
        slack = 0 if leads else SKEW
        if leads and (before := self._seen[unit.kind]) is not None:
            self._last[unit.kind] = max(unit.dts - before, 0)
        while unit.dts - self._part > LONGEST_PART + slack:
            self._cut(self._part + LONGEST_PART, out)
        age = unit.dts - self._part
        if not leads or not self._any_before(unit):
            return
        begins = unit.kind == "video" and unit.key
        if begins and age > 0 and (unit.dts - self._segment >= SHORTEST_SEGMENT or not self._keyed):
            self._cut(unit.dts, out)
            self._end_segment(out)
            self._open_segment(unit.dts)
        elif begins and age == 0 and self._index and (unit.dts - self._segment >= SHORTEST_SEGMENT or not self._keyed):
            self._end_segment(out)
            self._open_segment(unit.dts)
        elif age >= SHORTEST_PART:
            self._cut(unit.dts, out)

    def _any_before(self, unit: Unit) -> bool:
        """Whether there is a part before it: not for the stream's first."""
        return unit.dts > self._segment or self._index > 0

    def _cut(self, end: int, out: list[Cut]) -> None:
        """Ends the part at `end`, and the segment where the next part might make it too long. What is of later is left
        for the next one.
        """
        video, audio = self._before("video", end), self._before("audio", end)
        self._sequence += 1
        runs = []
        for kind, config, units in (("video", self._video, video), ("audio", self._audio, audio)):
            runs.append(cmaf.Run(units, self._last[kind]) if config is not None else None)
        empty = not (video or audio)
        picture = video[0].key if video else False
        independent = picture if self._video is not None else not empty
        if self._index == 0:
            self._discontinuities += self._discontinuity
            self._keyed = independent
        data = cmaf.fragment(self._sequence, runs[0], runs[1], self._part)
        out.append(
            Part(
                self._msn,
                self._index,
                self._part,
                end - self._part,
                independent,
                self._inits,
                self._discontinuity,
                self._discontinuities,
                empty,
                data,
            )
        )
        self._index += 1
        self._part = end
        if end + LONGEST_PART - self._segment > LONGEST_SEGMENT:
            self._end_segment(out)
            self._open_segment(end)

    def _before(self, kind: str, end: int) -> list[Unit]:
        units = self._units[kind]
        count = bisect_left(units, end, key=lambda unit: unit.dts)
        self._units[kind] = units[count:]
        return units[:count]

    def _open_segment(self, start: int) -> None:
        self._msn += 1
        self._segment, self._index, self._keyed = start, 0, True

    def _end_segment(self, out: list[Cut]) -> None:
        if self._index:
            out.append(SegmentEnded(self._msn, self._segment, self._part - self._segment))
            self._discontinuity = False
        else:
            self._msn -= 1

    def _end(self) -> int:
        """Where what has come ends, as far as is known."""
        ends = [self._part]
        for kind, units in self._units.items():
            if units:
                ends.append(units[-1].dts + min(self._last[kind], LONGEST_PART))
        return max(ends)
