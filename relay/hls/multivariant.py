"""Multivariant playlists (RFC 8216bis, 4.4.6)."""

from msgspec import Struct


class Variant(Struct, frozen=True):
    """`bandwidth`: the most that a segment had, in bits a second; `average` of them all. Empty, 0: there is none, or it
    is not known.
    """

    uri: str
    bandwidth: int
    average: int
    codecs: str
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0


def multivariant_playlist(variants: list[Variant]) -> str:
    lines = ["#EXTM3U", "#EXT-X-VERSION:9"]
    for one in variants:
        attributes = [f"BANDWIDTH={max(1, one.bandwidth)}"]
        if one.average:
            attributes.append(f"AVERAGE-BANDWIDTH={one.average}")
        attributes.append(f'CODECS="{one.codecs}"')
        if one.width:
            attributes.append(f"RESOLUTION={one.width}x{one.height}")
        if one.frame_rate:
            attributes.append(f"FRAME-RATE={one.frame_rate:.3f}")
        lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", one.uri]
    return "\n".join([*lines, ""])
