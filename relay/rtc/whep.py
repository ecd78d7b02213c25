"""Who watches by WHEP (draft-ietf-wish-whep), stream by stream."""

import time
from collections.abc import Callable, Iterator
from secrets import randbits

from relay.ports import Bearer, Refused
from relay.rtc import answer
from relay.rtc.answer import Chosen, Source
from relay.rtc.egress import Egress
from relay.rtc.sdp import RATES, Codec, Offer
from relay.rtc.viewer import Outgoing, Viewer
from relay.stream import Stream
from relay.units import Kind

_OF_A_USER = 8
"""Sessions at a time, so that one does not have all the places."""
_TICKS = 10
"""Of 20 ms: how often reports and ends are looked after."""


class Whep:
    """`stream_of` a room, None for none; `most` viewers in all (0: WHEP is off)."""

    def __init__(self, stream_of: Callable[[str], Stream | None], most: int):
        self._stream_of, self._most = stream_of, most
        self.egresses: dict[Stream, Egress] = {}
        self.count = 0
        """Viewers, those who are yet to connect included."""
        self._dropped = 0
        self._ticks = 0

    def admit(self, room: str, bearer: Bearer, offer: Offer) -> tuple[Viewer, list[Chosen | None], list[Source | None]]:
        """A viewer's session, and what of the offer is taken. Raises Refused: `not_found` without a stream,
        `unavailable` where fMP4 is to be taken instead, `unsupported` where the offer has none of the stream's codecs.
        """
        stream = self._stream_of(room)
        if stream is None or (stream.video is None and stream.audio is None):
            raise Refused("not_found", "There is no stream in this room.")
        if self.count >= self._most:
            raise Refused("unavailable", "No more viewers are served by WebRTC: take the stream by the WebSocket.")
        if sum(one.user == bearer.user for _, one in self.bearers()) >= _OF_A_USER:
            raise Refused("unavailable", f"You watch {_OF_A_USER} times by WebRTC: take the stream by the WebSocket.")
        if stream.has_b_frames:
            raise Refused(
                "unavailable", "The stream has B-frames, which WebRTC does not carry: take it by the WebSocket."
            )
        chosen, sources, tracks = _tracks(offer, stream)
        egress = self.egresses.get(stream)
        if egress is None:
            egress = self.egresses[stream] = Egress(lambda: self._empty(stream))
            stream.add(egress)
        served = egress

        def over(viewer: Viewer) -> None:
            self.count -= 1
            served.leave(viewer)

        viewer = Viewer(bearer, tracks, served.join, served.lost_picture, over)
        self.count += 1
        served.expect(viewer)
        return viewer, chosen, sources

    def remove(self, room: str, user: str) -> None:
        """Ends what this user watches of the room."""
        self._end(lambda of, bearer: (of, bearer.user) == (room, user))

    def send_away(self, room: str, bearer: Bearer) -> None:
        """Ends what the bearer watches of the room. The same user may have come with a better token too."""
        self._end(lambda of, one: (of, one) == (room, bearer))

    def _end(self, is_meant: Callable[[str, Bearer], bool]) -> None:
        for room, viewer in tuple(self._all()):
            if is_meant(room, viewer.bearer) and viewer.connection is not None:
                viewer.connection.close("removed")

    def _all(self) -> Iterator[tuple[str, Viewer]]:
        for stream, egress in self.egresses.items():
            for viewer in egress.everybody:
                yield stream.room, viewer

    def bearers(self) -> list[tuple[str, Bearer]]:
        """Rooms, and who watches them or is about to."""
        return [(room, viewer.bearer) for room, viewer in self._all()]

    def watching(self) -> dict[str, list[str]]:
        """Room → users, each as often as they watch it."""
        found: dict[str, list[str]] = {}
        for stream, egress in self.egresses.items():
            found.setdefault(stream.room, []).extend(viewer.bearer.user for viewer in egress.viewers)
        return found

    @property
    def dropped_frames(self) -> int:
        """Frames that were dropped up to the next keyframe, as the process could not send them in time."""
        return self._dropped + sum(egress.dropped_frames for egress in self.egresses.values())

    def tick(self, now: float) -> None:
        """Every 20 ms, by the event loop's clock."""
        self._ticks += 1
        if self._ticks % _TICKS == 0:
            for egress in tuple(self.egresses.values()):
                egress.tick(time.monotonic())

    def _empty(self, stream: Stream) -> None:
        egress = self.egresses.pop(stream, None)
        if egress is not None:
            self._dropped += egress.dropped_frames
            stream.remove(egress)


def _tracks(offer: Offer, stream: Stream) -> tuple[list[Chosen | None], list[Source | None], dict[Kind, Outgoing]]:
    wanted: dict[str, tuple[Codec, ...]] = {
        "video": (stream.video.codec,) if stream.video is not None else (),
        "audio": ("opus",) if stream.audio is not None else (),
    }
    name = f"g{randbits(48):x}"
    chosen: list[Chosen | None] = []
    sources: list[Source | None] = []
    tracks: dict[Kind, Outgoing] = {}
    for section in offer.sections:
        taken = None
        if section.kind and section.receives and section.kind not in tracks:
            taken = answer.choose(section, wanted[section.kind])
        source = Source(randbits(32), randbits(32), name) if taken is not None else None
        if section.kind and taken is not None and source is not None:
            tracks[section.kind] = Outgoing(taken, source, RATES[taken.codec])
        chosen.append(taken)
        sources.append(source)
    if not tracks or (stream.video is not None and "video" not in tracks):
        raise Refused("unsupported", "The offer has none of the stream's codecs.")
    return chosen, sources, tracks
