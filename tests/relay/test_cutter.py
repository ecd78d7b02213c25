"""Whatever publishers send, parts have their lengths, and each unit is in one of them as it came."""

import random
from collections.abc import Iterator
from itertools import groupby, pairwise

from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from relay.cmaf import AUDIO_TRACK, VIDEO_TRACK, audio_of, pictures_in
from relay.cutter import SKEW, Cutter
from relay.parts_values import (
    LONGEST_PART,
    LONGEST_SEGMENT,
    SHORTEST_PART,
    SHORTEST_SEGMENT,
    Cut,
    Init,
    Part,
    SegmentEnded,
)
from relay.stream_clock import APART
from relay.units import HZ, AudioConfig, Unit, VideoConfig
from tests.relay.stage import AUDIO, FRAME, VIDEO, audio, video
from tests.support.fragments import Sample, read_fragment

AAC_FRAME = 1_920
TRACKS = {"video": VIDEO_TRACK, "audio": AUDIO_TRACK}


class Piece(Struct, frozen=True):
    """Some seconds of a publisher. In ticks: `hole` before it; `frame` between pictures, give or take `jitter`; `late`
    that pictures and sound arrive after their time, no more than the stream's clock lets through. `group` in pictures,
    `ahead` of how many `pts` is. `stalls`: which of the two is held back, and arrives at its end. `broken`: the
    publisher is lost before it.
    """

    seconds: float
    hole: int = 0
    pictures: bool = False
    sound: bool = False
    frame: int = FRAME
    jitter: int = 0
    group: int = 30
    ahead: int = 0
    late: tuple[int, int] = (0, 0)
    stalls: str = ""
    broken: bool = False
    height: int = 360
    channels: int = 1


def pieces(**others: st.SearchStrategy[object]) -> st.SearchStrategy[Piece]:
    some: dict[str, st.SearchStrategy[object]] = {
        "seconds": st.floats(0.1, 6),
        "hole": st.sampled_from([0, 0, 0, HZ // 3, HZ, 2 * HZ, 20 * HZ]),
        "pictures": st.booleans(),
        "sound": st.booleans(),
        "frame": st.sampled_from([1_500, 3_000, 3_750, 9_000, 45_000, 4 * HZ]),
        "jitter": st.sampled_from([0, 0, 90, 1_000]),
        "group": st.integers(1, 400),
        "ahead": st.integers(0, 3),
        "late": st.tuples(st.integers(0, APART), st.integers(0, APART)),
        "stalls": st.sampled_from(["", "", "video", "audio"]),
        "broken": st.booleans(),
        "height": st.sampled_from([360, 720]),
        "channels": st.sampled_from([1, 2]),
    }
    return st.builds(Piece, **{**some, **others})


class Run(Struct):
    """What went in, in order of arrival, and what came out."""

    units: list[Unit]
    cuts: list[Cut]

    @property
    def parts(self) -> list[Part]:
        return [one for one in self.cuts if isinstance(one, Part)]

    def stretches(self) -> Iterator[list[Part]]:
        """Parts between two gaps."""
        for _, parts in groupby(self.parts, lambda part: part.discontinuities):
            yield list(parts)


def arrivals(played: list[Piece], seed: int) -> Iterator[Unit | None]:
    """Units in the order in which they arrive, each track's in its own; None where the publisher is lost."""
    chance = random.Random(seed)
    coming: list[tuple[int, Unit | None]] = []
    start, latest = 0, {"video": 0, "audio": 0}
    for piece in played:
        start += piece.hole
        if piece.broken:
            latest = dict.fromkeys(latest, max(start, *latest.values()))
            coming.append((latest["video"], None))
        end = start + round(piece.seconds * HZ)
        for unit in made(piece, start, end, chance):
            arrives = end if piece.stalls == unit.kind else unit.dts + piece.late[unit.kind == "audio"]
            latest[unit.kind] = max(latest[unit.kind], arrives)
            coming.append((latest[unit.kind], unit))
        start = end
    for number, (_, one) in enumerate(sorted(coming, key=lambda one: one[0])):
        yield one and replace(one, data=b"%d" % number + b"." * chance.randint(0, 40))


def made(piece: Piece, start: int, end: int, chance: random.Random) -> Iterator[Unit]:
    pictured = VideoConfig("h264", 640, piece.height, VIDEO.sps, VIDEO.pps)
    heard = AudioConfig("aac", 48_000, piece.channels, AUDIO.specific)
    at, index = start, 0
    while piece.pictures and at < end:
        yield Unit("video", at + piece.ahead * piece.frame, at, b"", index % piece.group == 0, pictured)
        at, index = at + max(1, piece.frame + chance.randint(-piece.jitter, piece.jitter)), index + 1
    for dts in range(start, end if piece.sound else start, AAC_FRAME):
        yield Unit("audio", dts, dts, b"", True, heard)


def cut(played: list[Piece], seed: int) -> Run:
    cutter, run = Cutter(), Run([], [])
    for unit in arrivals(played, seed):
        if unit is None:
            run.cuts += cutter.flush()
        else:
            run.units.append(unit)
            run.cuts += cutter.unit(unit)
    run.cuts += cutter.flush()
    return run


def samples(part: Part) -> dict[str, list[Sample]]:
    found = read_fragment(part.data)
    return {kind: found.tracks.get(track, []) for kind, track in TRACKS.items()}


def is_of(sample: Sample, unit: Unit) -> bool:
    has = (sample.dts, sample.composition, sample.sync, sample.data)
    return has == (unit.dts, unit.pts - unit.dts, unit.key, unit.data)


ANY = st.lists(pieces(), min_size=1, max_size=5)
SEEDS = st.integers(0, 2**32)


@given(ANY, SEEDS)
def test_parts_and_segments_have_their_lengths_and_follow_each_other(played: list[Piece], seed: int) -> None:
    run = cut(played, seed)
    assert all(0 < part.duration <= LONGEST_PART for part in run.parts)
    for parts in run.stretches():
        for before, after in pairwise(parts):
            assert after.start == before.start + before.duration
            if before.msn == after.msn:
                assert before.duration >= SHORTEST_PART
                assert after.index == before.index + 1
            else:
                assert (after.msn, after.index) == (before.msn + 1, 0)
        assert not parts[0].index
    for before, after in pairwise(run.parts):
        assert after.start >= before.start + before.duration
        assert after.msn in (before.msn, before.msn + 1)


@given(ANY, SEEDS)
def test_each_segment_ends_once_and_is_its_parts(played: list[Piece], seed: int) -> None:
    run = cut(played, seed)
    parts: list[Part] = []
    segments: list[tuple[SegmentEnded, list[Part]]] = []
    for one in run.cuts:
        if isinstance(one, Part):
            parts.append(one)
        elif isinstance(one, SegmentEnded):
            segments.append((one, parts))
            parts = []
    assert parts == [], "nothing is left open by a flush"
    for ended, of in segments:
        assert {part.msn for part in of} == {ended.msn}
        assert (ended.start, ended.duration) == (of[0].start, sum(part.duration for part in of))
        assert 0 < ended.duration <= LONGEST_SEGMENT
        assert len({(part.init, part.discontinuity, part.discontinuities) for part in of}) == 1
    for (before, parts_before), (_, parts_after) in pairwise(segments):
        together = parts_before[0].discontinuities == parts_after[0].discontinuities
        if together and parts_before[0].independent:
            assert before.duration >= SHORTEST_SEGMENT


@example([Piece(4.4375, pictures=True, frame=1_500, group=60, late=(HZ, 0)), Piece(1, sound=True)], 0)
@given(ANY, SEEDS)
def test_every_unit_is_once_in_a_part_as_it_came(played: list[Piece], seed: int) -> None:
    """But those that come before a stretch's first keyframe."""
    run = cut(played, seed)
    starts = [parts[0].start for parts in run.stretches()]
    for kind in TRACKS:
        put = iter([unit for unit in run.units if unit.kind == kind])
        missing: list[Unit] = []
        for part in run.parts:
            for sample in samples(part)[kind]:
                for unit in put:
                    if is_of(sample, unit):
                        break
                    missing.append(unit)
                else:
                    raise AssertionError(f"{sample} is not what came, or not in its order")
        for unit in missing:
            begins = min((start for start in starts if start > unit.dts), default=None)
            assert begins is not None, f"{unit} is lost"


@given(ANY, SEEDS)
def test_fragments_say_of_their_parts_what_is_in_them(played: list[Piece], seed: int) -> None:
    run = cut(played, seed)
    assume(run.cuts)
    inits = {one.number: one for one in run.cuts if isinstance(one, Init)}
    assert isinstance(run.cuts[0], Init)
    for number, part in enumerate(run.parts, 1):
        fragment = read_fragment(part.data)
        assert fragment.sequence == number
        found = samples(part)
        assert part.empty == (not any(found.values()))
        assert pictures_in(part.data) == len(found["video"])
        assert not found["audio"] or inits[part.init].audio
        if inits[part.init].width:
            assert part.independent == (bool(found["video"]) and found["video"][0].sync)
        else:
            assert not found["video"]
        if part.empty:
            assert set(fragment.at.values()) == {part.start}
        if inits[part.init].audio:
            alone = read_fragment(audio_of(part.data))
            assert alone.tracks == {AUDIO_TRACK: found["audio"]}
            assert alone.sequence == number


@given(ANY, SEEDS)
def test_decode_times_only_go_on(played: list[Piece], seed: int) -> None:
    run = cut(played, seed)
    for kind in TRACKS:
        found = [sample for part in run.parts for sample in samples(part)[kind]]
        assert all(before.dts < after.dts for before, after in pairwise(found))


IN_TIME = pieces(
    seconds=st.integers(1, 6),
    hole=st.just(0),
    pictures=st.just(True),
    frame=st.sampled_from([1_500, 3_000, 3_750]),
    late=st.tuples(st.integers(0, SKEW // 2), st.integers(0, HZ // 2)),
    stalls=st.just(""),
    broken=st.just(False),
    height=st.just(360),
    channels=st.just(2),
)
"""A publisher whose sound may be muted, and come late; its pictures do not."""
LONGEST_PICTURE = 3_750 + 1_000


@given(st.lists(IN_TIME, min_size=1, max_size=4), SEEDS)
def test_of_a_publisher_in_time_pictures_follow_each_other_within_their_parts(played: list[Piece], seed: int) -> None:
    run = cut(played, seed)
    for parts in run.stretches():
        pictures = [sample for part in parts for sample in samples(part)["video"]]
        for before, after in pairwise(pictures):
            assert before.dts + before.duration == after.dts
        segments = {part.msn: part.start for part in parts if part.index == 0}
        for number, part in enumerate(parts):
            guessed = 0 if number else LONGEST_PART  # how long the last picture before a gap lasted
            lasts = sum(sample.duration for sample in samples(part)["video"])
            assert abs(lasts - part.duration) <= LONGEST_PICTURE + guessed or part is parts[-1]
            assert all(sample.dts < part.start + part.duration for sample in samples(part)["audio"])
            for sample in samples(part)["video"]:
                assert part.start - guessed <= sample.dts < part.start + part.duration
                begins = sample.sync and sample.dts - segments[part.msn] >= SHORTEST_SEGMENT
                assert not begins, "a keyframe begins the next segment"


def test_the_last_picture_of_a_lost_publisher_counts_for_no_more_than_a_part() -> None:
    """Though each lasted for nearly a second: the next publisher may be there sooner."""
    cutter, last = Cutter(), 2 * 81_000
    cuts = [cut for at in (0, 81_000, last) for cut in cutter.unit(video(at, key=True))]
    cuts += cutter.flush()
    for at in range(last + 9_000, last + 2 * HZ, 3_000):
        cuts += cutter.unit(video(at, key=True))
    begins = next(one for one in cuts if isinstance(one, Part) and one.discontinuity)
    assert begins.start <= last + LONGEST_PART


def test_pictures_far_behind_the_sound_end_in_cuts() -> None:
    cutter = Cutter()
    cuts = [
        one
        for at in range(0, 20 * HZ, FRAME)
        for one in cutter.unit(audio(at + 6 * HZ)) + cutter.unit(video(at, key=True))
    ]
    assert any(isinstance(one, Part) for one in cuts)
