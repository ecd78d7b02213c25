"""Offers as other programs make them."""

from relay.rtc import sdp
from relay.rtc.sdp import Format

TRANSPORT = (
    "a=setup:actpass\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=rtcp-mux\r\n"
    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n"
)
OPUS = "a=rtpmap:100 OPUS/48000/2\r\n"
AUDIO = f"m=audio 0 UDP/TLS/RTP/SAVPF 100\r\n{OPUS}a=mid:1\r\na=sendonly\r\n"
HEAD = "v=0\r\no=- 1 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
VIDEO = f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\na=mid:0\r\na=sendonly\r\n{TRANSPORT}"


def test_what_comes_over_the_first_section_alone_is_no_refusal() -> None:
    video, audio = sdp.parse(f"{HEAD}{VIDEO}{AUDIO}{TRANSPORT}a=bundle-only\r\n").sections
    assert (video.kind, audio.kind) == ("video", "audio")
    assert audio.formats == (Format(100, "opus/48000/2", {}, ()),)
    assert audio.line == "audio 0 UDP/TLS/RTP/SAVPF"


def test_port_0_is_a_refusal() -> None:
    other = TRANSPORT.replace("abcd", "efgh")  # of a transport that is no more
    video, audio = sdp.parse(f"{HEAD}{VIDEO}{AUDIO}{other}").sections
    assert (video.kind, audio.kind) == ("video", "")
