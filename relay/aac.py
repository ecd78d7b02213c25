"""AAC's AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): as much of it as RTMP and fMP4 need."""

from relay.units import AudioConfig

FRAME = 1_024
"""Samples in a frame of AAC-LC."""

_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_LC = 2
_EXPLICIT_RATE = 15
_MOST_CHANNELS = 6
_MOST_BYTES = 64
"""AAC-LC's own take two to five; a program config element may follow. Every part and message that names it has it."""


def read_specific(data: bytes) -> AudioConfig:
    """Raises ValueError for what is not AAC-LC of one to six channels, or too long to be carried."""
    if len(data) > _MOST_BYTES:
        raise ValueError(f"AudioSpecificConfig: {len(data)} bytes; at most {_MOST_BYTES} are carried")
    if len(data) < 2:
        raise ValueError("AudioSpecificConfig: shorter than two bytes")
    bits = int.from_bytes(data[:5].ljust(5, b"\0"))
    kind, index, channels = bits >> 35, bits >> 31 & 15, bits >> 27 & 15
    if kind != _LC:
        raise ValueError(f"AudioSpecificConfig: audio object type {kind}; only AAC-LC (2) is carried")
    if index == _EXPLICIT_RATE:
        if len(data) < 5:
            raise ValueError("AudioSpecificConfig: ends in the sample rate")
        rate, channels = bits >> 7 & 0xFFFFFF, bits >> 3 & 15
    elif index < len(_RATES):
        rate = _RATES[index]
    else:
        raise ValueError(f"AudioSpecificConfig: sample rate index {index} is reserved")
    if not 1 <= channels <= _MOST_CHANNELS:
        raise ValueError(f"AudioSpecificConfig: channel configuration {channels}; 1 to {_MOST_CHANNELS} are carried")
    if not _RATES[-1] <= rate <= _RATES[0]:
        raise ValueError(f"AudioSpecificConfig: sample rate {rate}")
    return AudioConfig("aac", rate, channels, data)


def write_specific(rate: int, channels: int) -> bytes:
    """Of AAC-LC. Raises ValueError for a rate that has no index."""
    return (_LC << 11 | _RATES.index(rate) << 7 | channels << 3).to_bytes(2)
