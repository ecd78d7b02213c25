"""What ends an RTMP connection."""


class Violation(Exception):
    """The peer broke the protocol, or a bound of ours: the text says which. Its connection is to be closed."""


class Unsupported(Violation):
    """What the peer sends is well-formed, and not taken here: the text is for the person at the encoder."""
