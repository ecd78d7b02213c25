"""Runs of packets arrive as they were, cut by the kernel or sent one by one."""

import random

import pytest

from relay.rtc.port import Port
from relay.rtc.stun import Address
from tests.relay.rtc.support import udp, until

RUNS = [(60, 60), (1_200, 64 * 1_200 - 17_000), (1_200, 3 * 1_200 + 80), (40, 80), (1_200, 1_200)]
"""The size of a packet, and of the run."""


@pytest.mark.parametrize("offload", [True, False])
async def test_packets_arrive_whole_and_in_order(offload: bool) -> None:
    came: list[bytes] = []

    def nobody(data: bytes, address: Address) -> None:
        pytest.fail("nothing is sent here")

    receiver = Port(udp(), lambda data, address: came.append(data))
    sender = Port(udp(), nobody, offload=offload)
    try:
        packets: list[bytes] = []
        for size, length in RUNS:
            run = random.randbytes(length)
            cut = [run[at : at + size] for at in range(0, length, size)]
            sender.send_run(memoryview(run), size, len(cut), receiver.socket.getsockname())
            packets += cut
        await until(lambda: len(came) == len(packets))
        assert came == packets
        assert (sender.sent, sender.drops, sender.errors) == (len(packets), 0, 0)
        assert sender.offload is offload
    finally:
        sender.close()
        receiver.close()


async def test_a_kernel_that_cannot_cut_is_sent_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[bytes] = []
    # The option's number is another one, which the kernel does not know.
    monkeypatch.setattr("relay.rtc.port._UDP_SEGMENT", 9_999)
    receiver = Port(udp(), lambda data, address: came.append(data))
    sender = Port(udp(), lambda data, address: None)
    try:
        packets = [bytes([index]) * 100 for index in range(5)]
        sender.send_run(memoryview(b"".join(packets)), 100, 5, receiver.socket.getsockname())
        await until(lambda: len(came) == len(packets))
        assert came == packets
        assert not sender.offload
    finally:
        sender.close()
        receiver.close()


async def test_a_run_that_the_kernel_does_not_take_is_sent_one_by_one() -> None:
    """And the next one again as one: it is this run's affair, or its address's."""
    came: list[bytes] = []
    receiver = Port(udp(), lambda data, address: came.append(data))
    sender = Port(udp(), lambda data, address: None)
    try:
        # More packets than it cuts in one call: EINVAL.
        packets = [index.to_bytes(2) for index in range(130)]
        sender.send_run(memoryview(b"".join(packets)), 2, 130, receiver.socket.getsockname())
        await until(lambda: len(came) == len(packets))
        assert came == packets
        assert sender.offload
        assert sender.errors == 0
    finally:
        sender.close()
        receiver.close()
