"""Answers to offers: which codec is taken, and the text of it (RFC 8829, section 5.3; RFC 8839; RFC 8842)."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from relay.rtc.sdp import NAMES, Codec, Direction, Format, Offer, Section

PROFILES = ("42", "4d")
"""H.264's baseline and main, of which every browser decodes what encoders make of them."""

_FEEDBACK = ("nack", "nack pli", "ccm fir", "transport-cc")
_HOST_PREFERENCE = 126 << 24
"""Of candidates of type host (RFC 8445, section 5.1.2.1)."""


class Chosen(Struct, frozen=True):
    """What of a section is taken: a payload type, `rtx` where packets are sent again in a stream of their own, and the
    header extensions (URI → id).
    """

    format: Format
    codec: Codec
    rtx: int | None
    extensions: dict[str, int]


class Source(Struct, frozen=True):
    """What we send in a section: our SSRCs, and the stream's and track's names for the listener."""

    ssrc: int
    rtx_ssrc: int
    cname: str


class Local(Struct, frozen=True):
    """Our side: ICE credentials, the certificate's SHA-256 fingerprint, and at which addresses and port we are."""

    ufrag: str
    password: str
    fingerprint: str
    addresses: tuple[str, ...]
    port: int


def choose(
    section: Section, codecs: Sequence[Codec], profiles: Sequence[str] = PROFILES, extensions: Iterable[str] = ()
) -> Chosen | None:
    """The first codec of `codecs` that the section has; of H.264 the first form in packetization-mode 1 whose
    profile-level-id begins with one of `profiles`. None for none.
    """
    for codec in codecs:
        for offered in section.formats:
            if offered.name == NAMES[codec] and (codec != "h264" or _has_profile(offered, profiles)):
                rtx = next((f.payload_type for f in section.formats if _repeats(f, offered.payload_type)), None)
                taken = {uri: section.extensions[uri] for uri in extensions if uri in section.extensions}
                return Chosen(offered, codec, rtx, taken)
    return None


def _has_profile(offered: Format, profiles: Sequence[str]) -> bool:
    profile = offered.parameters.get("profile-level-id", "42000a").lower()
    return offered.parameters.get("packetization-mode") == "1" and profile.startswith(tuple(profiles))


def _repeats(other: Format, payload_type: int) -> bool:
    return other.name.startswith("rtx/") and other.parameters.get("apt") == str(payload_type)


def write(
    offer: Offer,
    chosen: Sequence[Chosen | None],
    sources: Sequence[Source | None],
    direction: Direction,
    local: Local,
    max_kbit: int = 0,
) -> str:
    """The answer. `chosen` and `sources` in the order of the offer's sections: those of None are refused."""
    mids = [section.mid for section, taken in zip(offer.sections, chosen, strict=True) if taken and section.mid]
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite"]
    if mids:
        lines += [f"a=group:BUNDLE {' '.join(mids)}", "a=msid-semantic: WMS *"]
    transport = _transport(offer, local)
    for section, taken, source in zip(offer.sections, chosen, sources, strict=True):
        kind, _, protocol = section.line.split()
        if taken is None:
            lines += [
                f"m={kind} 0 {protocol} 0",
                "c=IN IP4 0.0.0.0",
                *([f"a=mid:{section.mid}"] if section.mid else []),
                "a=inactive",
            ]
            continue
        types = [taken.format.payload_type, *([] if taken.rtx is None else [taken.rtx])]
        lines += [f"m={kind} 9 {protocol} {' '.join(map(str, types))}", "c=IN IP4 0.0.0.0"]
        if max_kbit and kind == "video":
            lines += [f"b=AS:{max_kbit}", f"b=TIAS:{max_kbit * 1000}"]
        if section.mid:
            lines.append(f"a=mid:{section.mid}")
        lines += [f"a={direction}", "a=rtcp-mux", *transport, *_format(taken)]
        lines += [f"a=extmap:{number} {uri}" for uri, number in taken.extensions.items()]
        if source is not None:
            lines += _source(source, kind, taken)
    return "\r\n".join(lines) + "\r\n"


def _transport(offer: Offer, local: Local) -> list[str]:
    lines = [
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{'passive' if offer.role == 'server' else 'active'}",
    ]
    return [*lines, *candidates(local)]


def candidates(local: Local) -> list[str]:
    """Candidate attributes of all addresses, and the end of them."""
    lines = [
        f"a=candidate:{number} 1 udp {_HOST_PREFERENCE | 65_536 - number << 8 | 255} {address} {local.port} typ host"
        for number, address in enumerate(local.addresses, 1)
    ]
    return [*lines, "a=end-of-candidates"]


def _format(taken: Chosen) -> list[str]:
    offered = taken.format
    number = offered.payload_type
    lines = [f"a=rtpmap:{number} {_spelt(offered.name)}"]
    if taken.codec == "h264":
        profile = offered.parameters.get("profile-level-id", "42000a")
        lines.append(f"a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}")
    elif taken.codec == "opus":
        lines.append(f"a=fmtp:{number} minptime=10;useinbandfec=1;stereo=1")
    lines += [f"a=rtcp-fb:{number} {kind}" for kind in _FEEDBACK if kind in offered.feedback]
    if taken.rtx is not None:
        lines += [f"a=rtpmap:{taken.rtx} rtx/90000", f"a=fmtp:{taken.rtx} apt={number}"]
    return lines


def _spelt(name: str) -> str:
    """As the registry has it; names are compared in any case, but not by everybody."""
    return name.replace("h264", "H264").replace("vp8", "VP8")


def _source(source: Source, kind: str, taken: Chosen) -> list[str]:
    ssrcs = [source.ssrc, *([] if taken.rtx is None else [source.rtx_ssrc])]
    lines = [f"a=msid:{source.cname} {kind}"]
    if taken.rtx is not None:
        lines.append(f"a=ssrc-group:FID {source.ssrc} {source.rtx_ssrc}")
    return lines + [f"a=ssrc:{ssrc} cname:{source.cname}" for ssrc in ssrcs]
