"""When a publisher is asked for a keyframe, and what its own interval means."""

from relay.units import HZ

SHORTEST_SECONDS = 0.5
"""Between two requests, whoever wants one."""
SEGMENT_SECONDS = 2.0
"""How often one is asked for where segments are cut: browsers send none by themselves."""
SLOW = 4 * HZ
"""An interval above which segments get long, and a viewer waits to be shown something."""
TOO_SLOW = 10 * HZ
"""An interval above which there is no LL-HLS."""


class Keyframes:
    """Of one publisher. Times `now` are in seconds of any clock that never goes back; `dts` in ticks of HZ."""

    def __init__(self, *, regular: bool):
        """`regular`: ask every SEGMENT_SECONDS, for a way of publishing that sends keyframes when asked."""
        self._regular = regular
        self._asked = self._came = float("-inf")
        self._last: int | None = None
        self._latest = 0
        self.interval = 0
        """Between the latest two keyframes, or since the latest where that is longer already; ticks of HZ."""

    def video(self, dts: int, key: bool, now: float) -> None:
        """A unit of video has come."""
        if key:
            if self._last is not None:
                self._latest = dts - self._last
            self._last, self._came = dts, now
        self.interval = max(self._latest, dts - self._last) if self._last is not None else 0

    def ask(self, now: float, wanted: bool) -> bool:
        """Whether to ask now; `wanted`: an output waits for one. To be asked with each unit."""
        if now - self._asked < SHORTEST_SECONDS:
            return False
        due = self._regular and now - max(self._asked, self._came) >= SEGMENT_SECONDS
        if wanted or due:
            self._asked = now
            return True
        return False

    @property
    def advice(self) -> str:
        """For the creator; empty where the interval is good."""
        seconds = self.interval / HZ
        if self.interval > TOO_SLOW:
            return f"A keyframe comes every {seconds:.0f} s: low-latency HLS is off. Set the interval to 2 s."
        if self.interval > SLOW:
            return f"A keyframe comes every {seconds:.0f} s: viewers wait long. Set the interval to 2 s."
        return ""
