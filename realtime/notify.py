"""What a service manager is told (systemd's `Type=notify`; sd_notify(3))."""

import os
import socket

import structlog

log = structlog.get_logger("realtime")

VARIABLE = "NOTIFY_SOCKET"


def notify(state: str) -> None:
    """Sends `READY=1`, `RELOADING=1` or `STOPPING=1` where a service manager asked for it. One that is gone, or does
    not read, is logged: the server does without.
    """
    address = os.environ.get(VARIABLE)
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.send(state.encode())
    except OSError as error:
        log.warning("not_notified", state=state, reason=str(error))


def announce(host: str, port: int) -> None:
    """Tells people and the service manager that clients may come."""
    print(f"galaxy-live is ready: open http://{host}:{port}/", flush=True)
    notify("READY=1")
