"""What the client raises. Everything derives from `ClientError`."""


class ClientError(Exception):
    """Base of all errors of this package."""


class Closed(ClientError):
    """The server ended the connection for good; the client does not reconnect (docs/protocol.md, close codes).

    `code` is the WebSocket close code: 3500 to 3999, RFC 6455's for a violation of ours, 1000 where this side closed.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"connection closed with {code}{': ' + reason if reason else ''}")
        self.code = code
        self.reason = reason


class UpgradeRefused(ClientError):
    """The WebSocket upgrade was answered with an HTTP `status` that trying again does not change (4xx)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server refused the WebSocket upgrade with HTTP {status}")
        self.status = status


class ConnectionLost(ClientError):
    """The connection ended before the reply of a command without `key`: whether it took effect is unknown."""


class ProtocolViolation(ClientError):
    """The server broke its contract: a position missing, doubled or out of order, or an object of the wrong shape."""


class CommandError(ClientError):
    """An `error` reply: `code` is stable and for programs, `message` for people, `field` names what is at fault.

    `retry` says whether the same command can succeed later, `retry_after_ms` (milliseconds) when.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry: bool = False,
        retry_after_ms: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry = retry
        self.retry_after_ms = retry_after_ms
        self.field = field
