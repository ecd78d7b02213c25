"""Session descriptions (RFC 8866, RFC 8829): as much of them as WHIP and WHEP need. Here offers are read, within
bounds; `relay.rtc.answer` answers them.
"""

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from relay.units import Kind

_LARGEST = 65_536
_MOST_LINES = 4_096
_MOST_SECTIONS = 16
_MOST_TYPES, _MOST_FEEDBACK = 128, 32
_TOKEN = re.compile(r"[\x21-\x7e]{1,256}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19,63}")
_HASHES = frozenset({"sha-256", "sha-384", "sha-512"})

Codec = Literal["h264", "vp8", "opus"]
Direction = Literal["sendonly", "recvonly"]
NAMES: dict[Codec, str] = {"h264": "h264/90000", "vp8": "vp8/90000", "opus": "opus/48000/2"}
RATES: dict[Codec, int] = {"h264": 90_000, "vp8": 90_000, "opus": 48_000}
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


class Format(Struct, frozen=True):
    """One payload type: `name` as `h264/90000`, in lower case."""

    payload_type: int
    name: str
    parameters: dict[str, str]
    feedback: tuple[str, ...]


class Section(Struct, frozen=True):
    """A media section of an offer. `kind` is "video", "audio", or "" for others (data channels)."""

    line: str
    kind: Kind | Literal[""]
    mid: str
    sends: bool
    receives: bool
    formats: tuple[Format, ...]
    extensions: dict[str, int]


class Offer(Struct, frozen=True):
    """`role`: what we are in the DTLS handshake. `fingerprints`: of the offerer's certificate, (hash, value)."""

    sections: tuple[Section, ...]
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    role: Literal["server", "client"]


class _Attributes:
    """Of one section, or of the session: name → values."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.values: dict[str, list[str]] = {}

    def first(self, name: str) -> str | None:
        return self.values.get(name, [None])[0]


def parse(text: str) -> Offer:
    """Raises ValueError, which names the line or attribute."""
    session, sections = _split(text)
    if not sections:
        raise ValueError("SDP: no media section")
    live = [section for section in sections if not _rejected(section)] or sections

    def common(name: str) -> str:
        values = {value for part in (session, *live) if (value := part.first(name)) is not None}
        if len(values) != 1:
            raise ValueError(f"SDP: a={name} {'is missing' if not values else 'differs between sections'} (max-bundle)")
        value = values.pop()
        if not _TOKEN.fullmatch(value):
            raise ValueError(f"SDP: a={name} is malformed")
        return value

    setup = common("setup")
    if setup not in ("actpass", "active", "passive"):
        raise ValueError(f"SDP: a=setup:{setup}")
    return Offer(
        tuple(_section(section, session) for section in sections),
        common("ice-ufrag"),
        common("ice-pwd"),
        _fingerprints((session, *live)),
        "client" if setup == "passive" else "server",
    )


def _split(text: str) -> tuple[_Attributes, list[_Attributes]]:
    if len(text) > _LARGEST:
        raise ValueError(f"SDP: longer than {_LARGEST} bytes")
    lines = text.splitlines()
    if len(lines) > _MOST_LINES:
        raise ValueError(f"SDP: more than {_MOST_LINES} lines")
    if not lines or lines[0] != "v=0":
        raise ValueError("SDP: does not begin with v=0")
    part = session = _Attributes("")
    sections: list[_Attributes] = []
    for line in lines[1:]:
        if line.startswith("m="):
            part = _Attributes(line[2:])
            sections.append(part)
            if len(sections) > _MOST_SECTIONS:
                raise ValueError(f"SDP: more than {_MOST_SECTIONS} media sections")
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            part.values.setdefault(name, []).append(value.strip())
    return session, sections


def _fingerprints(parts: Iterable[_Attributes]) -> tuple[tuple[str, str], ...]:
    found: dict[tuple[str, str], None] = {}
    for part in parts:
        for value in part.values.get("fingerprint", ()):
            algorithm, _, digest = value.partition(" ")
            if algorithm.lower() in _HASHES and _FINGERPRINT.fullmatch(digest):
                found[algorithm.lower(), digest.upper()] = None
    if not found:
        raise ValueError("SDP: no a=fingerprint with sha-256, sha-384 or sha-512")
    if len(found) > len(_HASHES):
        raise ValueError("SDP: sections with fingerprints of different certificates")
    return tuple(found)


def _section(part: _Attributes, session: _Attributes) -> Section:
    words = part.line.split()
    if len(words) < 4 or not words[1].partition("/")[0].isdecimal():
        raise ValueError(f"SDP: m={part.line[:80]}")
    kind: Kind | Literal[""] = "video" if words[0] == "video" else "audio" if words[0] == "audio" else ""
    if _rejected(part) or "SAVPF" not in words[2]:
        kind = ""
    mid = part.first("mid") or ""
    if mid and not _TOKEN.fullmatch(mid):
        raise ValueError("SDP: a=mid is malformed")
    if kind and not (part.values.keys() | session.values.keys()) >= {"rtcp-mux"}:
        raise ValueError(f"SDP: m={words[0]} without a=rtcp-mux")
    directions = {name for name in ("sendrecv", "sendonly", "recvonly", "inactive") if name in part.values}
    directions = directions or {name for name in ("sendonly", "recvonly", "inactive") if name in session.values}
    return Section(
        " ".join(words[:3]),
        kind,
        mid,
        not directions or bool(directions & {"sendrecv", "sendonly"}),
        not directions or bool(directions & {"sendrecv", "recvonly"}),
        _formats(part, words[3:]) if kind else (),
        _extensions(part),
    )


def _rejected(part: _Attributes) -> bool:
    """Port 0 says so, but not with `bundle-only`: those come over the first section's (RFC 9143, section 6)."""
    return part.line.split()[1:2] == ["0"] and "bundle-only" not in part.values


def _formats(part: _Attributes, types: list[str]) -> tuple[Format, ...]:
    """Each payload type once, as it can be named again and again with attributes as long as the whole."""
    if len(types) > _MOST_TYPES:
        raise ValueError(f"SDP: more than {_MOST_TYPES} payload types in a section")
    names = dict(_by_type(part, "rtpmap"))
    parameters = dict(_by_type(part, "fmtp"))
    feedback: dict[str, list[str]] = {}
    for payload_type, value in _by_type(part, "rtcp-fb"):
        feedback.setdefault(payload_type, []).append(value)
    if any(len(values) > _MOST_FEEDBACK for values in feedback.values()):
        raise ValueError(f"SDP: more than {_MOST_FEEDBACK} a=rtcp-fb of one payload type")
    return tuple(
        Format(
            int(payload_type),
            names[payload_type].lower(),
            _parameters(parameters.get(payload_type, "")),
            (*feedback.get("*", ()), *feedback.get(payload_type, ())),
        )
        for payload_type in dict.fromkeys(types)
        if payload_type in names and payload_type.isdecimal() and int(payload_type) < 128
    )


def _by_type(part: _Attributes, name: str) -> Iterable[tuple[str, str]]:
    for value in part.values.get(name, ()):
        payload_type, _, rest = value.partition(" ")
        yield payload_type, rest.strip()


def _parameters(text: str) -> dict[str, str]:
    found = {}
    for item in text.split(";"):
        name, equals, value = item.strip().partition("=")
        if equals:
            found[name.lower()] = value
    return found


def _extensions(part: _Attributes) -> dict[str, int]:
    found = {}
    for value in part.values.get("extmap", ()):
        words = value.split()
        number = words[0].partition("/")[0] if words else ""
        if len(words) > 1 and number.isdecimal() and 1 <= int(number) <= 14:
            found[words[1]] = int(number)
    return found
