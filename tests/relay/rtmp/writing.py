"""Messages written in every form that the chunk stream knows, as encoders differ."""

from collections.abc import Callable

from relay.rtmp.chunks import Message


class AnyWriter:
    """Writes chunks; `choose(n)` decides, in 0 to n - 1, how short a header is where a shorter one would do."""

    def __init__(self, choose: Callable[[int], int], *, repeat_extended: bool = True):
        self.chunk = 128
        self._choose, self._repeat = choose, repeat_extended
        self._last: dict[int, tuple[Message, int]] = {}

    def pieces(self, message: Message, stream: int) -> list[bytes]:
        """The message's chunks."""
        form, field = 0, message.timestamp
        if stream in self._last:
            last, delta = self._last[stream]
            forms = [0]
            if last.stream == message.stream:
                forms.append(1)
                if (last.kind, len(last.data)) == (message.kind, len(message.data)):
                    forms.append(2)
                    if message.timestamp - last.timestamp & 0xFFFFFFFF == delta:
                        forms.append(3)
            form = forms[self._choose(len(forms))]
            if form:
                field = message.timestamp - last.timestamp & 0xFFFFFFFF
        self._last[stream] = message, field
        extended = field.to_bytes(4) if field >= 0xFFFFFF else b""
        head = basic(form, stream)
        if form < 3:
            head += min(field, 0xFFFFFF).to_bytes(3)
        if form < 2:
            head += len(message.data).to_bytes(3) + bytes((message.kind,))
        if form < 1:
            head += message.stream.to_bytes(4, "little")
        parts = [message.data[at : at + self.chunk] for at in range(0, len(message.data), self.chunk)] or [b""]
        repeated = extended if self._repeat else b""
        following = basic(3, stream) + repeated
        first = head + (extended if form < 3 else repeated)
        return [first + parts[0], *(following + part for part in parts[1:])]


def basic(form: int, stream: int) -> bytes:
    """The basic header (specification 5.3.1.1)."""
    if stream < 64:
        return bytes((form << 6 | stream,))
    if stream < 320:
        return bytes((form << 6, stream - 64))
    return bytes((form << 6 | 1,)) + (stream - 64).to_bytes(2, "little")
