"""A validator of media playlists with parts: what RFC 8216bis says that they MUST keep, alone and from one to the next.

It shares nothing with the writer but the RFC. What is found is a list of lines, empty where all is well.
"""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]+)(?:,|$)')
ROUNDING = 0.00001
"""Durations are written with five decimals."""


class PartRead(Struct, frozen=True):
    duration: float
    uri: str
    independent: bool


class SegmentRead(Struct):
    """`uri` is empty for the one that is still being made. `map` is "" where none has been named."""

    msn: int
    map: str
    discontinuity: bool = False
    gap: bool = False
    duration: float = 0.0
    uri: str = ""
    parts: list[PartRead] = field(default_factory=list)


class Read(Struct):
    """A media playlist. `control`, `hint` and each of `reports` by their attributes."""

    version: int = 1
    target: int = 0
    part_target: float = 0.0
    control: dict[str, str] = field(default_factory=dict)
    msn: int = 0
    discontinuities: int = 0
    skipped: int = 0
    segments: list[SegmentRead] = field(default_factory=list)
    hints: list[dict[str, str]] = field(default_factory=list)
    reports: list[dict[str, str]] = field(default_factory=list)
    ended: bool = False
    problems: list[str] = field(default_factory=list)


def attributes(text: str) -> dict[str, str]:
    """Raises ValueError for what is no attribute list (4.2)."""
    found, at = {}, 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None or match[1] in found:
            raise ValueError(f"no attribute list: {text}")
        found[match[1]] = match[2].strip('"')
        at = match.end()
    return found


def read(text: str) -> Read:
    """Raises ValueError for what is no playlist at all."""
    lines = text.splitlines()
    if not lines or lines[0] != "#EXTM3U":
        raise ValueError("does not begin with #EXTM3U (4.4.1.1)")
    playlist, seen = Read(), set[str]()
    at = SegmentRead(0, "")
    begun = False
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name in seen & _ONCE:
            playlist.problems.append(f"{name} twice")
        seen.add(name)
        if begun and name in ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE"):
            playlist.problems.append(f"{name} after a segment (4.4.3.2, 4.4.3.3)")
        if name == "#EXT-X-VERSION":
            playlist.version = int(value)
        elif name == "#EXT-X-TARGETDURATION":
            playlist.target = int(value)
        elif name == "#EXT-X-SERVER-CONTROL":
            playlist.control = attributes(value)
        elif name == "#EXT-X-PART-INF":
            playlist.part_target = float(attributes(value)["PART-TARGET"])
        elif name == "#EXT-X-MEDIA-SEQUENCE":
            playlist.msn = at.msn = int(value)
        elif name == "#EXT-X-DISCONTINUITY-SEQUENCE":
            playlist.discontinuities = int(value)
        elif name == "#EXT-X-SKIP":
            playlist.skipped = int(attributes(value)["SKIPPED-SEGMENTS"])
            at.msn, begun = playlist.msn + playlist.skipped, True
        elif name == "#EXT-X-DISCONTINUITY":
            at.discontinuity = begun = True
        elif name == "#EXT-X-MAP":
            at.map = attributes(value)["URI"]
        elif name == "#EXT-X-GAP":
            at.gap = True
        elif name == "#EXT-X-PART":
            found, begun = attributes(value), True
            at.parts.append(PartRead(float(found["DURATION"]), found["URI"], found.get("INDEPENDENT") == "YES"))
        elif name == "#EXTINF":
            at.duration = float(value.rstrip(","))
        elif name == "#EXT-X-PRELOAD-HINT":
            playlist.hints.append(attributes(value))
        elif name == "#EXT-X-RENDITION-REPORT":
            playlist.reports.append(attributes(value))
        elif name == "#EXT-X-ENDLIST":
            playlist.ended = True
        elif not line.startswith("#"):
            at.uri, begun = line, True
            playlist.segments.append(at)
            at = SegmentRead(at.msn + 1, at.map)
    if at.parts:
        playlist.segments.append(at)
    if "#EXT-X-TARGETDURATION" not in seen:
        playlist.problems.append("no #EXT-X-TARGETDURATION (4.4.3.1)")
    return playlist


_ONCE = {
    "#EXT-X-VERSION",
    "#EXT-X-TARGETDURATION",
    "#EXT-X-SERVER-CONTROL",
    "#EXT-X-PART-INF",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-DISCONTINUITY-SEQUENCE",
    "#EXT-X-SKIP",
    "#EXT-X-ENDLIST",
}


def alone(playlist: Read) -> list[str]:
    """What one playlist breaks."""
    return [*playlist.problems, *_control(playlist), *_segments(playlist), *_end(playlist)]


def _control(playlist: Read) -> Iterator[str]:
    control, target = playlist.control, playlist.target
    if "HOLD-BACK" in control and float(control["HOLD-BACK"]) < 3 * target:
        yield "HOLD-BACK is less than three target durations (4.4.3.8)"
    if "CAN-SKIP-UNTIL" in control and float(control["CAN-SKIP-UNTIL"]) < 6 * target:
        yield "CAN-SKIP-UNTIL is less than six target durations (4.4.3.8)"
    if playlist.part_target:
        if float(control.get("PART-HOLD-BACK", 0)) < 3 * playlist.part_target:
            yield "PART-HOLD-BACK is missing, or less than three part targets (4.4.3.8)"
        if control.get("CAN-BLOCK-RELOAD") != "YES":
            yield "parts without blocking reload (B.1)"
    if playlist.skipped and playlist.version < 9:
        yield "a delta update of a version below 9 (7)"


def _segments(playlist: Read) -> Iterator[str]:
    for segment in playlist.segments:
        where = f"segment {segment.msn}"
        if not segment.map and not playlist.skipped:
            yield f"{where}: no #EXT-X-MAP (3.1.2)"
        if round(segment.duration) > playlist.target:
            yield f"{where}: longer than the target duration (4.4.3.1)"
        if segment.parts and not playlist.part_target:
            yield f"{where}: parts without #EXT-X-PART-INF (4.4.3.7)"
        for at, part in enumerate(segment.parts):
            last = at == len(segment.parts) - 1
            if part.duration > playlist.part_target + ROUNDING:
                yield f"{where}: part {at} is longer than the part target (4.4.4.9)"
            if not last and part.duration + ROUNDING < 0.85 * playlist.part_target:
                yield f"{where}: part {at} is shorter than 85% of the part target (4.4.4.9)"
        total = sum(part.duration for part in segment.parts)
        if segment.uri and segment.parts and abs(total - segment.duration) > ROUNDING * (len(segment.parts) + 1):
            yield f"{where}: its parts last {total:.5f}, it {segment.duration:.5f} s"


def _end(playlist: Read) -> Iterator[str]:
    if playlist.ended and playlist.hints:
        yield "a hint at the end of the stream"
    if len(playlist.hints) > 1:
        yield "more than one hint of a type (4.4.5.3)"
    listed = {part.uri for segment in playlist.segments for part in segment.parts}
    if any(hint["URI"] in listed for hint in playlist.hints):
        yield "a hint at a part that is listed (4.4.5.3)"
    for report in playlist.reports:
        if not {"URI", "LAST-MSN"} <= report.keys():
            yield "a report without URI or LAST-MSN (4.4.5.4)"
        if listed and "LAST-PART" not in report:
            yield "a report without LAST-PART (4.4.5.4)"
    left = sum(segment.duration for segment in playlist.segments if segment.uri)
    if playlist.skipped and left < 3 * playlist.target:
        yield "a delta update that leaves out what is not old (6.2.5.1)"


def between(before: Read, after: Read) -> list[str]:
    """What the step from one whole playlist to a later one breaks (6.2.1, 6.2.2)."""
    return list(_between(before, after))


def _between(before: Read, after: Read) -> Iterator[str]:
    if before.ended and before != after:
        yield "a playlist changed after its end (6.2.1)"
    if before.target != after.target or before.part_target != after.part_target:
        yield "a target duration changed (6.2.1)"
    if after.msn < before.msn:
        yield "the media sequence number went back (6.2.2)"
    old = {segment.msn: segment for segment in before.segments}
    new = {segment.msn: segment for segment in after.segments}
    gone = [segment for segment in before.segments if segment.msn < after.msn]
    if after.discontinuities != before.discontinuities + sum(one.discontinuity for one in gone):
        yield "the discontinuity sequence number does not count what has gone (6.2.2)"
    if gone and sum(segment.duration for segment in after.segments) < 3 * after.target:
        yield "a segment was taken away with less than three target durations left (6.2.2)"
    for msn in sorted(old.keys() - {segment.msn for segment in gone}):
        yield from _same(old[msn], new.get(msn))
    yield from _hinted(before, after)


def _same(old: SegmentRead, new: SegmentRead | None) -> Iterator[str]:
    if new is None:
        yield f"segment {old.msn} is missing"
        return
    if (old.map, old.discontinuity) != (new.map, new.discontinuity):
        yield f"segment {old.msn}: its tags changed"
    if old.uri and (old.uri, old.duration) != (new.uri, new.duration):
        yield f"segment {old.msn}: its URI or duration changed"
    if new.parts and new.parts[: len(old.parts)] != old.parts:
        yield f"segment {old.msn}: its parts changed"


def _hinted(before: Read, after: Read) -> Iterator[str]:
    """What was hinted at is what came next, unless nothing of its kind did, or the segment ended before it."""
    listed = [(segment.msn, at, part.uri) for segment in after.segments for at, part in enumerate(segment.parts)]
    last = max(
        ((segment.msn, len(segment.parts) - 1) for segment in before.segments if segment.parts),
        default=(before.msn, -1),
    )
    following = [(msn, uri) for msn, at, uri in listed if (msn, at) > last]
    if before.hints and following and before.segments:
        hint = before.hints[0]["URI"]
        msn, uri = following[0]
        ended = before.segments[-1].uri == "" and msn > before.segments[-1].msn
        if uri != hint and not ended:
            yield f"{uri} came where {hint} was hinted at (4.4.5.3)"


def merged(before: Read, delta: Read) -> Sequence[SegmentRead]:
    """The segments that a client has after a delta update (6.2.5.1): what it skips, from the playlist before. Raises
    ValueError where that has not all of it.
    """
    known = {segment.msn: segment for segment in before.segments if segment.uri}
    skipped = range(delta.msn, delta.msn + delta.skipped)
    if missing := [msn for msn in skipped if msn not in known]:
        raise ValueError(f"skipped, and not known: {missing}")
    segments = [known[msn] for msn in skipped]
    init = segments[-1].map if segments else ""
    for segment in delta.segments:
        segment.map = init = segment.map or init
    return [*segments, *delta.segments]
