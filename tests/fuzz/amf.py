"""Fuzz AMF0: `python -m tests.fuzz.amf --seconds 60`.

Bytes must be values, which can be written and read again, or refused.
"""

from relay.rtmp import amf0
from relay.rtmp.errors import Violation
from tests.fuzz.guided import run


def target(data: bytes) -> None:
    try:
        values = amf0.decode(data)
    except Violation:
        return
    again = amf0.encode(*values)
    assert amf0.encode(*amf0.decode(again)) == again


if __name__ == "__main__":
    run(target, [(amf0, "decode"), (amf0._Reader, "value"), (amf0._Reader, "members")], __doc__)
