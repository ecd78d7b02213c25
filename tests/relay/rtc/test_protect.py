"""Whatever a frame's payloads are, what leaves is what the other side takes apart into them again."""

import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.rtc import rtp
from relay.rtc.protect import MOST_BYTES, MOST_PACKETS, Outbound, Protector

PROFILES = {
    b"SRTP_AES128_CM_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    b"SRTP_AEAD_AES_128_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    b"SRTP_AEAD_AES_256_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}
PROTECTOR = Protector()
SIZES = st.lists(st.sampled_from([1, 40, 700, 1_187, 1_188]), min_size=1, max_size=150)


def sessions(profile: bytes) -> tuple[Outbound, pylibsrtp.Session]:
    number, length = PROFILES[profile]

    def made(ssrc_type: int) -> pylibsrtp.Session:
        return pylibsrtp.Session(pylibsrtp.Policy(bytes(range(length)), ssrc_type, srtp_profile=number))

    return Outbound(made(pylibsrtp.Policy.SSRC_ANY_OUTBOUND), profile), made(pylibsrtp.Policy.SSRC_ANY_INBOUND)


@given(sizes=SIZES, marker=st.booleans(), first=st.integers(0, 65_535), profile=st.sampled_from(sorted(PROFILES)))
def test_what_leaves_is_the_payloads(sizes: list[int], marker: bool, first: int, profile: bytes) -> None:
    outbound, inbound = sessions(profile)
    payloads = [index.to_bytes(1) * size for index, size in enumerate(sizes)]
    came: list[rtp.Rtp] = []
    sequence = first
    for run in PROTECTOR.runs(payloads, outbound.tag, marker=marker):
        protected = PROTECTOR.protect(outbound, run, 96, sequence, 7, 0xCAFE)
        assert len(run.packets) <= MOST_PACKETS
        assert len(protected) <= MOST_BYTES
        sequence += len(run.packets)
        cut = run.cut(protected)
        assert len(cut) == len(run.packets)
        assert all(len(packet) == run.size for packet in cut[:-1])
        came += [rtp.parse(inbound.unprotect(packet)) for packet in cut]
    assert [packet.payload for packet in came] == payloads
    assert [packet.sequence for packet in came] == [first + index & 0xFFFF for index in range(len(payloads))]
    assert [packet.marker for packet in came] == [*[False] * (len(payloads) - 1), marker]
    assert {(packet.payload_type, packet.timestamp, packet.ssrc) for packet in came} == {(96, 7, 0xCAFE)}


def test_one_after_the_other_goes_through_whole() -> None:
    """The same run for the next viewer: nothing of the one before is left in it."""
    runs = PROTECTOR.runs([bytes(1_188), b"last"], 16, marker=True)
    for _ in range(2):
        outbound, inbound = sessions(b"SRTP_AEAD_AES_128_GCM")
        packets = [packet for run in runs for packet in run.cut(PROTECTOR.protect(outbound, run, 96, 1, 2, 3))]
        assert [rtp.parse(inbound.unprotect(packet)).payload for packet in packets] == [bytes(1_188), b"last"]


def test_a_used_sequence_number_is_refused() -> None:
    """libsrtp's srtp_err_status_replay_fail."""
    outbound, _ = sessions(b"SRTP_AEAD_AES_128_GCM")
    (run,) = PROTECTOR.runs([b"a"], outbound.tag, marker=False)
    PROTECTOR.protect(outbound, run, 96, 500, 0, 1)
    with pytest.raises(pylibsrtp.Error, match="srtp_protect: 9"):
        PROTECTOR.protect(outbound, run, 96, 500, 0, 1)
