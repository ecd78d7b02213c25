"""Fuzz FLV's tags: `python -m tests.fuzz.flv --seconds 60`.

Tags are units, nothing, or refused; units can be written again.
"""

from relay import h264
from relay.rtmp import tags
from relay.rtmp.errors import Violation
from relay.rtmp.flv import write_header, write_unit
from tests.fuzz.frames import Script
from tests.fuzz.guided import run

_AVCC = bytes.fromhex("016764001effe1001a6764001eacd940a02ff970110000030001000003003c0f162d9601000668ebe3cb22c0")
_HEADS = (
    b"\x17\0\0\0\0" + _AVCC, b"\xaf\0\x11\x90", b"\x90avc1" + _AVCC,
    b"\x27\1\0\0\0", b"\xaf\1", b"\x91avc1", b"\x91mp4a", b"",
)  # fmt: skip


def target(data: bytes) -> None:
    script, reader = Script(data), tags.TagReader(2_073_600)
    try:
        while script:
            video = bool(script.number(2))
            head = bytearray(_HEADS[script.number(len(_HEADS))])
            if head and not script.number(4):
                head[script.number(len(head))] ^= 1 << script.number(8)
            payload = script.take(script.number(60))
            body = bytes(head) + (len(payload).to_bytes(4) if script.number(2) else b"") + payload
            unit = reader.read(video, script.number(65_536) << 16, body)
            if unit is not None:
                assert len(write_unit(unit)) >= len(unit.data)
                again = tags.TagReader(2_073_600)
                again.read(video, 0, write_header(unit.config))
                read = again.read(video, 0, write_unit(unit))
                assert read is not None
                assert (read.data, read.key) == (unit.data, unit.key)
    except Violation:
        return


if __name__ == "__main__":
    run(target, [(tags.TagReader, "_read_video"), (tags.TagReader, "_read_audio"), (h264, "read_sps")], __doc__)
