"""A validator of live playlists with parts: what RFC 8216bis says that they MUST be, as far as it concerns ours."""

import re
from dataclasses import dataclass, field
from typing import Self

ROUNDING = 0.002
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


def attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


@dataclass
class Segment:
    """`duration` is None while it is not whole."""

    msn: int
    uri: str = ""
    duration: float | None = None
    map_uri: str = ""
    discontinuity: bool = False
    dated: str = ""
    gap: bool = False
    parts: list[tuple[str, float, bool]] = field(default_factory=list)


@dataclass
class Playlist:
    """Read, and found to be in order. `skipped` segments before the first were left out."""

    target: int
    part_target: float
    media_sequence: int
    discontinuity_sequence: int
    segments: list[Segment]
    control: dict[str, str]
    hint: str
    reports: dict[str, dict[str, str]]
    skipped: int
    ended: bool

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises AssertionError with the rule that is broken."""
        lines = text.splitlines()
        assert lines[0] == "#EXTM3U", "4.4.1.1: the first line"
        tags = {line.partition(":")[0]: line.partition(":")[2] for line in lines if line.startswith("#EXT")}
        for once in ("TARGETDURATION", "VERSION", "MEDIA-SEQUENCE", "SERVER-CONTROL", "PART-INF"):
            assert sum(line.startswith(f"#EXT-X-{once}") for line in lines) == 1, f"{once}: once"
        control = attributes(tags["#EXT-X-SERVER-CONTROL"])
        first = int(tags["#EXT-X-MEDIA-SEQUENCE"])
        skipped = int(attributes(tags.get("#EXT-X-SKIP", "SKIPPED-SEGMENTS=0"))["SKIPPED-SEGMENTS"])
        made = cls(
            int(tags["#EXT-X-TARGETDURATION"]),
            float(attributes(tags["#EXT-X-PART-INF"])["PART-TARGET"]),
            first,
            int(tags.get("#EXT-X-DISCONTINUITY-SEQUENCE", "0")),
            _segments(lines, first + skipped),
            control,
            attributes(tags.get("#EXT-X-PRELOAD-HINT", "URI=")).get("URI", ""),
            {a["URI"]: a for line in lines if line.startswith("#EXT-X-RENDITION-REPORT:") for a in [attributes(line)]},
            skipped,
            "#EXT-X-ENDLIST" in tags,
        )
        if skipped:
            assert int(tags["#EXT-X-VERSION"]) >= 9, "4.4.5.2: version 9 with EXT-X-SKIP"
        made._check()
        return made

    def _check(self) -> None:
        assert float(self.control["HOLD-BACK"]) >= 3 * self.target, "4.4.3.8: HOLD-BACK"
        assert float(self.control["PART-HOLD-BACK"]) >= 3 * self.part_target - ROUNDING, "4.4.3.8: PART-HOLD-BACK"
        assert float(self.control["CAN-SKIP-UNTIL"]) >= 6 * self.target, "4.4.3.8: CAN-SKIP-UNTIL"
        assert self.control["CAN-BLOCK-RELOAD"] == "YES"
        after = 0.0
        for segment in reversed(self.segments):
            total = sum(duration for _, duration, _ in segment.parts)
            if segment.duration is None:
                assert segment is self.segments[-1], "4.4.4.1: only the last is not whole"
            else:
                assert round(segment.duration) <= self.target, "4.4.3.1: EXTINF above the target duration"
                if segment.parts:
                    assert abs(total - segment.duration) < 0.05, "4.4.4.9: parts make up their segment"
            if segment.parts:
                assert after <= 3 * self.target + ROUNDING, "6.2.2: parts further than three targets from the end"
            for at, (_, duration, _) in enumerate(segment.parts):
                assert duration <= self.part_target + ROUNDING, "4.4.3.7: a part above the part target"
                if at < len(segment.parts) - 1:
                    assert duration >= 0.85 * self.part_target - ROUNDING, "4.4.4.9: a part below 85% of the target"
            after += segment.duration if segment.duration is not None else total
        if not self.skipped:  # of a delta update the init segment stands in what was left out
            assert all(segment.map_uri for segment in self.segments), "4.4.4.5: fMP4 needs EXT-X-MAP"
        assert self.ended or self.hint, "4.4.5.3: a hint of what comes next"

    @property
    def position(self) -> tuple[int, int]:
        """Media sequence number and index of what comes next."""
        last = self.segments[-1]
        return (last.msn + 1, 0) if last.duration is not None else (last.msn, len(last.parts))

    def follows(self, before: "Playlist") -> None:
        """Raises AssertionError where this is no later form of the same playlist (6.2.1, 6.2.2)."""
        assert self.target == before.target, "6.2.1: the target duration never changes"
        assert self.part_target == before.part_target
        assert self.media_sequence >= before.media_sequence, "6.2.2: it never goes back"
        assert self.discontinuity_sequence >= before.discontinuity_sequence
        was = {segment.msn: segment for segment in before.segments}
        for segment in self.segments:
            old = was.get(segment.msn)
            if old is None:
                continue
            assert segment.discontinuity == old.discontinuity
            assert self.skipped or segment.map_uri == old.map_uri
            if old.duration is not None:
                assert (segment.uri, segment.duration) == (old.uri, old.duration), "6.2.1: segments never change"
            if segment.parts and old.parts:
                assert segment.parts[: len(old.parts)] == old.parts, "6.2.1: parts never change"
        msn, index = before.position
        if self.position > (msn, index) and not self.ended:
            there = next((one for one in self.segments if one.msn == msn), None)
            assert there is not None
            if len(there.parts) > index:  # else the segment ended there, which no hint can know
                assert there.parts[index][0] == before.hint, "4.4.5.3: what was hinted at has come"


def _segments(lines: list[str], msn: int) -> list[Segment]:
    found: list[Segment] = []
    now, map_uri = Segment(msn), ""
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "#EXT-X-MAP":
            map_uri = attributes(rest)["URI"]
        elif name == "#EXT-X-DISCONTINUITY":
            now.discontinuity = True
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            now.dated = rest
        elif name == "#EXT-X-GAP":
            now.gap = True
        elif name == "#EXT-X-PART":
            part = attributes(rest)
            now.parts.append((part["URI"], float(part["DURATION"]), part.get("INDEPENDENT") == "YES"))
        elif name == "#EXTINF":
            now.duration = float(rest.rstrip(","))
        elif line and not line.startswith("#"):
            now.uri, now.map_uri = line, map_uri
            found.append(now)
            now = Segment(now.msn + 1)
    if now.parts:
        now.map_uri = map_uri
        found.append(now)
    return found
