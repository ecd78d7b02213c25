"""Fuzz offers of WHIP and WHEP: `python -m tests.fuzz.sdp --seconds 60`.

They are answered with as many media sections as they have, or refused with what is wrong.
"""

from relay.rtc import answer, sdp
from relay.rtc.answer import Local, Source
from tests.fuzz.frames import Script
from tests.fuzz.guided import run

LINES = (
    "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789012345678901", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass", "a=mid:0",
    "a=mid:1", "a=rtcp-mux", "a=sendonly", "a=recvonly", "a=rtpmap:96 H264/90000", "a=rtpmap:97 rtx/90000",
    "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f", "a=fmtp:97 apt=96", "a=rtpmap:111 opus/48000/2",
    "a=rtcp-fb:96 nack pli", "a=rtcp-fb:* nack", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=setup:passive",
    "a=bundle-only", "m=audio 0 UDP/TLS/RTP/SAVPF 111",
)  # fmt: skip
WHOLE = (0, 1, 2, 3, 5, 8, 9, 10, 11, 12, 14, 15, 17, 18, 19, 20, 22)
_LOCAL = Local("ufrag", "password", ":".join(["CD"] * 32), ("127.0.0.1",), 9)


def target(data: bytes) -> None:
    script = Script(data)
    lines = [LINES[index] for index in WHOLE]
    while script:
        at = script.number(len(lines) + 1)
        match script.number(4):
            case 0:
                lines.insert(at, LINES[script.number(len(LINES))])
            case 1:
                lines.insert(at, script.take(script.number(30)).decode("latin-1"))
            case 2 if at < len(lines):
                lines[at] = lines[at][: script.number(len(lines[at]) + 1)]
            case _ if at < len(lines):
                lines[at] += script.take(script.number(20)).decode("latin-1")
    try:
        offer = sdp.parse("\r\n".join(lines))
    except ValueError:
        return
    chosen = [answer.choose(section, ("h264", "opus")) for section in offer.sections]
    sources = [Source(1, 2, "name") if taken else None for taken in chosen]
    text = answer.write(offer, chosen, sources, "sendonly", _LOCAL)
    assert sum(line.startswith("m=") for line in text.split("\r\n")) == len(offer.sections)


if __name__ == "__main__":
    run(target, [(sdp, "parse"), (sdp, "_section"), (sdp, "_formats"), (sdp, "_fingerprints")], __doc__)
