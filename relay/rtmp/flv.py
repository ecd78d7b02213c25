"""Access units as FLV's audio and video tags (Adobe Flash Video File Format 10.1, annex E)."""

from relay.h264 import write_avcc
from relay.rtmp.amf0 import EcmaArray
from relay.units import HZ, AudioConfig, Unit, VideoConfig

_FURTHEST = 0x7FFFFF
"""Milliseconds that `pts` can be from `dts`."""
_TICKS = HZ // 1_000
_AVC_KEY, _AVC_INTER, _AAC = 0x17, 0x27, 0xAF
_AVC_ID, _AAC_ID = 7.0, 10.0


def milliseconds(ticks: int) -> int:
    return ticks // _TICKS


def write_header(config: VideoConfig | AudioConfig) -> bytes:
    """The sequence header that goes before a track's first unit, and before the first with another config."""
    if isinstance(config, VideoConfig):
        return bytes((_AVC_KEY, 0, 0, 0, 0)) + write_avcc(config)
    return bytes((_AAC, 0)) + config.specific


def write_unit(unit: Unit) -> bytes:
    if unit.kind == "audio":
        return bytes((_AAC, 1)) + unit.data
    offset = max(-_FURTHEST, min(milliseconds(unit.pts) - milliseconds(unit.dts), _FURTHEST))
    return bytes((_AVC_KEY if unit.key else _AVC_INTER, 1)) + offset.to_bytes(3, signed=True) + unit.data


def write_metadata(video: VideoConfig | None, audio: AudioConfig | None) -> EcmaArray:
    """onMetaData (E.5), of the tracks that there are."""
    told = EcmaArray()
    if video is not None:
        told |= {"width": float(video.width), "height": float(video.height), "videocodecid": _AVC_ID}
    if audio is not None:
        told |= {
            "audiocodecid": _AAC_ID,
            "audiosamplerate": float(audio.rate),
            "audiosamplesize": 16.0,
            "stereo": audio.channels > 1,
        }
    told["encoder"] = "galaxy-live"
    return told
