"""A real nginx with the configuration that is shipped, in front of servers of this machine."""

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.ports import free_port
from tests.support.certificates import self_signed

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
_SECONDS = 20.0
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def put(text: str, old: str, new: str, times: int = 1) -> str:
    """Puts `new` for `old`, which stands so many times in the text. Raises AssertionError where it does not."""
    assert text.count(old) == times, f"{old!r} stands {text.count(old)} times in the shipped configuration"
    return text.replace(old, new)


class Nginx:
    """`with Nginx(ports) as nginx` serves at `nginx.url` without TLS, and at `nginx.tls_url` with `nginx.certificate`;
    `plain_url` only redirects. Ports, addresses and paths are replaced in deploy/nginx.conf, nothing else is.
    Where servers are elsewhere, HOST:PORT stands for a port.

    As root its workers are `www-data`, as in production; else they are who runs the tests.
    """

    def __init__(self, upstreams: Iterable[int | str], edge: int = 8_081):
        """`edge`: the port of the one stream-edge process."""
        self._edge = edge
        self.folder = Path(tempfile.mkdtemp(prefix="galaxy-nginx-"))
        self.folder.chmod(0o755)  # the workers go through it
        self.certificate, self._key = self_signed(self.folder)
        self._ports = [free_port() for _ in range(3)]
        self.url, self.tls_url, self.plain_url = (
            f"{scheme}://127.0.0.1:{port}" for scheme, port in zip(("http", "https", "http"), self._ports, strict=True)
        )
        self._main: subprocess.Popen[bytes] | None = None
        self._write(upstreams)

    def __enter__(self) -> Self:
        checked = subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        self._main = subprocess.Popen([*self._command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        self._until(lambda: bool(self._workers()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._main is not None
        self._main.terminate()
        self._main.wait(_SECONDS)
        shutil.rmtree(self.folder)

    def reload(self, upstreams: Iterable[int | str]) -> None:
        """Other servers from now on; returns when no new connection goes to the former ones.

        Connections that are open stay where they are.
        """
        assert self._main is not None
        self._write(upstreams)
        before = self._workers()
        self._main.send_signal(signal.SIGHUP)
        self._until(lambda: bool(self._workers()) and not self._workers() & before)

    def logs(self) -> str:
        """All that it has written until now."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    @property
    def _command(self) -> list[str]:
        return ["nginx", "-p", f"{self.folder}/", "-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"]

    def _write(self, upstreams: Iterable[int | str]) -> None:
        text = SHIPPED.read_text()
        servers = re.findall(r"^ +server (?!\{).*\n", text, re.MULTILINE)
        options = re.search(r"server \S+( [^;]*);", servers[0])
        assert options is not None
        addresses = (f"127.0.0.1:{one}" if isinstance(one, int) else one for one in upstreams)
        listed = "".join(f"server {address}{options[1]};\n" for address in addresses)
        text = put(text, "".join(servers), listed)
        direct, tls, plain = self._ports
        both = f"listen 127.0.0.1:{direct}; listen 127.0.0.1:{tls} ssl http2;"
        text = put(text, "listen 443 ssl http2;", both, 2)
        text = put(text, "http://10.77.0.1$node:8081", f"http://127.0.0.1:{self._edge}", 2)
        text = put(text, "/var/cache/nginx/galaxy-live", f"{self.folder}/cache")
        text = put(text, "listen 80;", f"listen 127.0.0.1:{plain};")
        text = put(text, "/etc/galaxy-live/tls/fullchain.pem", str(self.certificate), 2)
        text = put(text, "/etc/galaxy-live/tls/privkey.pem", str(self._key), 2)
        text = put(text, "/run/nginx.pid", f"{self.folder}/nginx.pid")
        for log in ("access", "error"):
            text = put(text, f"/var/log/nginx/{log}.log", f"{self.folder}/{log}.log")
        # Debian's own folders for these are root's.
        scratch = "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in _TEMPORARY)
        text = put(text, "http {\n", f"http {{\n{scratch}")
        (self.folder / "nginx.conf").write_text(text)

    def _workers(self) -> set[int]:
        """Those that take new connections."""
        assert self._main is not None
        assert self._main.poll() is None, self.logs()
        pid = self._main.pid
        children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return {child for child in children if _title(child) == "nginx: worker process"}

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.01)


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""
