"""A server of one process: what it tells its service manager, and on a port of its own."""

import signal
import socket
from pathlib import Path

import httpx

from loadtest.ports import free_port
from realtime.notify import VARIABLE
from tests.support.server import ServerProcess


def test_health_has_a_port_where_nothing_else_is(tmp_path: Path) -> None:
    port = free_port()
    with (
        ServerProcess(tmp_path, {"GALAXY_SERVER__ADMIN_PORT": str(port)}) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as admin,
    ):
        assert admin.get("/healthz").json() == {"status": "ok"}
        assert admin.get("/readyz").json() == {"status": "ready"}
        assert "galaxy_connections" in admin.get("/metrics").text
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        assert admin.get("/v1/socket", headers=upgrade).status_code == 404
        for path in ("/", "/docs", "/v1/commands"):
            assert admin.get(path).status_code == 404
            assert httpx.get(server.url + path).status_code != 404
        assert server.signal(signal.SIGTERM) == 0


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        with ServerProcess(tmp_path, {VARIABLE: str(tmp_path / "notify")}) as server:
            assert manager.recv(100) == b"READY=1"
            assert server.signal(signal.SIGTERM) == 0
            assert manager.recv(100) == b"STOPPING=1"
