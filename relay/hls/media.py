"""Media playlists (RFC 8216bis, 4.4): live ones with parts and delta updates, and those of recordings."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from relay.feed_values import Stored
from relay.hls.names import Names
from relay.hls.window import (
    HOLD_BACK,
    PART_HOLD_BACK,
    PART_TARGET,
    PARTS_FOR,
    SKIP_UNTIL,
    TARGET_SECONDS,
    Segment,
    Window,
)
from relay.units import HZ

DATED = 10
"""Every so many segments have a date: the first and those after a discontinuity, too."""


def live_playlist(
    window: Window,
    names: Names,
    epoch_ms: int,
    *,
    audio: bool = False,
    first: int = 0,
    skip: bool = False,
    others: Sequence[str] = (),
    plain: str = "",
) -> str:
    """Of all segments from number `first` on. `audio`: of the audio-only rendition. `skip`: as a delta update, where
    there is enough to leave out. `others`: URIs of the stream's other playlists, for their reports. `plain`: why it is
    without low latency, in one line; empty where it is not.
    """
    segments = list(window.since(first))
    ages = _ages(segments)
    skipped = 0
    if skip:
        skipped = sum(age > SKIP_UNTIL * HZ for age in ages)
    lines = _head(segments, plain)
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    init = segments[skipped - 1].init if skipped else None
    for at in range(skipped, len(segments)):
        segment = segments[at]
        dated = at == 0 or segment.msn % DATED == 0
        lines += _begin(segment, names, epoch_ms, audio, segment.init != init, dated)
        init = segment.init
        if not plain and not segment.gap and ages[at] <= PARTS_FOR * HZ:
            lines += _parts(segment, names, audio)
        if segment.duration:
            lines += _whole(segment.duration, names.segment(segment.msn, audio=audio), segment.gap)
    if window.ended:
        lines.append("#EXT-X-ENDLIST")
    elif not plain:
        msn, index = window.position
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{names.part(msn, index, audio=audio)}"')
        lines += _reports(window, others)
    return "\n".join([*lines, ""])


def _ages(segments: Sequence[Segment]) -> list[int]:
    """Ticks from each segment's end to the playlist's."""
    ages, age = [], 0
    for segment in reversed(segments):
        ages.append(age)
        age += segment.duration or sum(part.duration for part in segment.parts)
    return ages[::-1]


def _head(segments: Sequence[Segment], plain: str) -> list[str]:
    control = f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={SKIP_UNTIL}.0,HOLD-BACK={HOLD_BACK}.0"
    lines = ["#EXTM3U", "#EXT-X-VERSION:9", f"#EXT-X-TARGETDURATION:{TARGET_SECONDS}"]
    if plain:
        lines += [control, f"# {plain}"]
    else:
        lines += [f"{control},PART-HOLD-BACK={PART_HOLD_BACK}", f"#EXT-X-PART-INF:PART-TARGET={PART_TARGET}"]
    if segments:
        begun = segments[0].discontinuities - segments[0].discontinuity
        lines += [f"#EXT-X-MEDIA-SEQUENCE:{segments[0].msn}", f"#EXT-X-DISCONTINUITY-SEQUENCE:{begun}"]
    return lines


def _begin(
    segment: Segment, names: Names, epoch_ms: int, audio: bool, mapped: bool, dated: bool, query: str = ""
) -> Iterable[str]:
    if segment.discontinuity:
        yield "#EXT-X-DISCONTINUITY"
    if mapped:
        yield f'#EXT-X-MAP:URI="{names.init(segment.init, audio=audio)}{query}"'
    if dated or segment.discontinuity:
        yield f"#EXT-X-PROGRAM-DATE-TIME:{_date(epoch_ms, segment.start)}"


def _date(epoch_ms: int, start: int) -> str:
    moment = datetime.fromtimestamp((epoch_ms + start * 1_000 // HZ) / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parts(segment: Segment, names: Names, audio: bool) -> Iterable[str]:
    for index, part in enumerate(segment.parts):
        uri = names.part(segment.msn, index, audio=audio)
        independent = ",INDEPENDENT=YES" if part.independent or audio else ""
        yield f'#EXT-X-PART:DURATION={part.duration / HZ:.5f},URI="{uri}"{independent}'


def _whole(duration: int, uri: str, gap: bool) -> Iterable[str]:
    if gap:
        yield "#EXT-X-GAP"
    yield f"#EXTINF:{duration / HZ:.5f},"
    yield uri


def _reports(window: Window, others: Sequence[str]) -> Iterable[str]:
    msn, index = window.position
    if not window.segments:
        return
    if index == 0:
        msn, index = msn - 1, len(window.segments[-1].parts)
    for uri in others:
        last = f",LAST-PART={index - 1}" if index else ""
        yield f'#EXT-X-RENDITION-REPORT:URI="{uri}",LAST-MSN={msn}{last}'


def recording_playlist(
    segments: Sequence[Stored], names: Names, epoch_ms: int, *, audio: bool = False, query: str = ""
) -> str:
    """A finished recording, whole. `query`: behind every URI."""
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:8",
        f"#EXT-X-TARGETDURATION:{TARGET_SECONDS}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXT-X-MEDIA-SEQUENCE:{segments[0].msn if segments else 0}",
    ]
    init = None
    for at, stored in enumerate(segments):
        hole = at and stored.msn != segments[at - 1].msn + 1
        whole = Segment(stored.msn, stored.start, stored.init, stored.discontinuity or bool(hole), 0)
        lines += _begin(whole, names, epoch_ms, audio, stored.init != init, at == 0, query)
        init = stored.init
        lines += _whole(stored.duration, names.segment(stored.msn, audio=audio) + query, gap=False)
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
