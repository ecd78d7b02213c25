"""A real HAProxy with the configuration that is shipped, in front of servers of this machine."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.ports import free_port
from tests.support.certificates import self_signed
from tests.support.nginx import put

SHIPPED = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"
_SECONDS = 20.0


class HAProxy:
    """`with HAProxy(ports) as haproxy` serves at `haproxy.url` without TLS, and at `haproxy.tls_url` with
    `haproxy.certificate`; `plain_url` only redirects. Ports, addresses, paths and `maxconn` are replaced in
    deploy/haproxy.cfg; where the tests are not root, the change of user and root directory is left out.
    """

    def __init__(self, upstreams: Iterable[int], edge: int = 8_081):
        """`edge`: the port of the first node's stream-edge process."""
        self._edge = edge
        self.folder = Path(tempfile.mkdtemp(prefix="galaxy-haproxy-"))
        self.certificate, key = self_signed(self.folder)
        self._ports = [free_port() for _ in range(3)]
        self.url, self.tls_url, self.plain_url = (
            f"{scheme}://127.0.0.1:{port}" for scheme, port in zip(("http", "https", "http"), self._ports, strict=True)
        )
        self._main: subprocess.Popen[bytes] | None = None
        (self.folder / "haproxy.pem").write_text(self.certificate.read_text() + key.read_text())
        self._write(upstreams)

    def __enter__(self) -> Self:
        checked = subprocess.run([*self._command, "-c"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr + checked.stdout
        assert "[WARNING]" not in checked.stderr, checked.stderr
        with (self.folder / "haproxy.log").open("wb") as log:
            self._main = subprocess.Popen([*self._command, "-db"], stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while "UP" not in self.states():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._main is not None
        self._main.terminate()
        self._main.wait(_SECONDS)
        shutil.rmtree(self.folder)

    def states(self) -> list[str]:
        """Of each server in turn: `UP`, `DOWN`, or on the way to either `UP 1/2`, `DOWN 1/2`; empty until it runs."""
        assert self._main is not None
        assert self._main.poll() is None, self.logs()
        with socket.socket(socket.AF_UNIX) as admin:
            try:
                admin.connect(str(self.folder / "admin.sock"))
            except (FileNotFoundError, ConnectionRefusedError):
                return []
            admin.sendall(b"show stat galaxy_live 4 -1\n")
            rows = [line.split(",") for line in admin.makefile().read().splitlines() if line]
        return [row[rows[0].index("status")] for row in rows[1:]]

    def logs(self) -> str:
        """All that it has written until now."""
        return (self.folder / "haproxy.log").read_text()

    @property
    def _command(self) -> list[str]:
        return ["haproxy", "-f", f"{self.folder}/haproxy.cfg"]

    def _write(self, upstreams: Iterable[int]) -> None:
        text = SHIPPED.read_text()
        servers = re.findall(r"^ +server gateway.*\n", text, re.MULTILINE)
        listed = "".join(f"    server gateway{n} 127.0.0.1:{port}\n" for n, port in enumerate(upstreams, 1))
        text = put(text, "".join(servers), listed)
        text = put(text, "10.77.0.11:8081", f"127.0.0.1:{self._edge}")
        direct, tls, plain = self._ports
        text = put(text, "    bind :443 ssl", f"    bind 127.0.0.1:{direct}\n    bind 127.0.0.1:{tls} ssl")
        # More needs descriptors that not every machine gives its tests.
        text = put(text, "maxconn 60000", "maxconn 1000")
        text = put(text, "bind :80", f"bind 127.0.0.1:{plain}")
        text = put(text, "/etc/galaxy-live/tls/haproxy.pem", f"{self.folder}/haproxy.pem")
        text = put(text, "/run/haproxy/admin.sock", f"{self.folder}/admin.sock")
        if os.getuid() != 0:
            for line in ("chroot /var/lib/haproxy", "user haproxy", "group haproxy"):
                text = put(text, f"    {line}\n", "")
        (self.folder / "haproxy.cfg").write_text(text)
