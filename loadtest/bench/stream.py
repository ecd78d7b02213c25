"""The reference subscriber's stream: which messages have come, and where in the bytes each of them ends."""

from loadtest.peers.peer import Failed, Message, Peer, payloads


class Unframed:
    """Takes WebSocket headers off, for servers whose frames differ from subscriber to subscriber.

    Call it with what one connection received; it returns how many bytes of payload that was, without looking at them.
    """

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._left = 0
        self._head = b""

    def count(self, data: bytearray, size: int) -> int:
        """Of the first `size` bytes of `data`."""
        total = at = 0
        while True:
            take = min(self._left, size - at)
            total += take
            at += take
            self._left -= take
            if at == size:
                return total
            at = self._header(data, at, size)

    def _header(self, data: bytearray, at: int, size: int) -> int:
        """Reads (the rest of) a header; returns where the payload begins. A cut header is kept for the next call."""
        head = self._head + data[at : min(size, at + 10)]
        need = 2 if len(head) < 2 else 2 + (2 if head[1] == 126 else 8 if head[1] == 127 else 0)
        if len(head) < need:
            self._head = bytes(head)
            return size
        at += need - len(self._head)
        self._head = b""
        self._left = head[1] if need == 2 else int.from_bytes(head[2:need])
        return at


class Reference:
    """`ends[k]` is where message k ends, counted in bytes from the last `reset`."""

    def __init__(self, peer: Peer, messages: list[Message], due: int = 0):
        self.ends: list[int] = []
        self.due = due
        """Which of the messages comes next."""
        self._peer = peer
        self._messages = messages
        self._raw = b""
        self._rest = b""
        self._at = 0

    def reset(self) -> None:
        """Begins to count anew. The stream must stand between two objects."""
        if self._raw or self._rest:
            raise Failed(f"{self._peer.title}: {len(self._raw or self._rest)} bytes of an unfinished object remain")
        self.ends.clear()
        self._at = 0

    def feed(self, data: bytes) -> int:
        """Takes what came; returns how many bytes of it count. Raises Failed for a message that was not due."""
        if self._peer.same_bytes:
            counted = data
        else:
            counted, self._raw = payloads(self._raw + data)
        stream = self._rest + counted
        at = 0
        while (found := self._peer.next_message(stream, at)) is not None:
            begin, end, at = found
            if self._peer.recognise(stream[begin:end], self._messages[self.due]):
                self.due = (self.due + 1) % len(self._messages)
                self.ends.append(self._at + at)
        self._at += at
        self._rest = stream[at:]
        return len(counted)
