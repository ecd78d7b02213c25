"""Fuzz what publishers send by WebRTC: `python -m tests.fuzz.rtp --seconds 60`.

Packets are frames, nothing, or refused; what is held is bounded.
"""

from contextlib import suppress

from relay.rtc import depacketise, rtcp, rtp, xr
from relay.rtc.depacketise import H264, Depacketiser, Opus, Vp8
from relay.rtc.jitter import Jitter
from tests.fuzz.frames import Script
from tests.fuzz.guided import run

_STARTS = (
    b"\x67\x42\xc0\x1f\xda\x02",
    b"\x68\xce\x3c\x80",
    b"\x65",
    b"\x78\0\4",
    b"\x7c\x85",
    b"\x7c\x45",
    b"\x10",
    b"",
)


def target(data: bytes) -> None:
    script = Script(data)
    jitter = Jitter(0.4, 64)
    depacketisers: tuple[Depacketiser, ...] = (H264(), Vp8(), Opus())
    now = 0.0
    while script:
        now += script.number(256) / 256
        head = bytes((0x80 | script.number(64), 96 | script.number(2) << 7))
        rest = script.number(65_536).to_bytes(2) + (script.number(256) << 12).to_bytes(4) + bytes(4)
        body = _STARTS[script.number(len(_STARTS))] + script.take(script.number(40))
        try:
            packet = rtp.parse(head + rest + body)
        except ValueError:
            packet = None
        with suppress(ValueError):  # it is malformed, and said so
            rtcp.parse(script.take(script.number(40)))
        xr.round_trip(b"\x80\xcf" + script.take(script.number(40)), 7, now)
        for indexed in [*(jitter.add(packet, now) if packet else ()), *jitter.expire(now)]:
            for depacketiser in depacketisers:
                for frame in depacketiser.push(indexed):
                    assert frame.data
    assert len(jitter._held) <= 64


if __name__ == "__main__":
    run(target, [(H264, "_payload"), (Vp8, "_payload"), (depacketise, "_vp8_descriptor"), (rtp, "parse")], __doc__)
