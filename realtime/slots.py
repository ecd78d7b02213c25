"""The places of the processes under a supervisor, and the sockets that each keeps over their deaths."""

import asyncio
import os
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from typing import Self

from msgspec import Struct

from realtime.config import Config, Server
from realtime.gateway.binding import bind, bind_admin, bind_udp, port_of
from realtime.notify import VARIABLE
from realtime.worker import Inherited, Kind

EDGES = 1
"""Stream-edge processes, where there are media processes."""


class Ports(Struct):
    """Those that all slots of a kind share; 0 until the first has taken a free one."""

    server: int
    rtmp: int
    edge: int

    def environ(self, processes: int) -> dict[str, str]:
        """What every process of this server has to know, whatever its settings have become meanwhile."""
        return {
            "GALAXY_RELAY__PROCESSES": str(processes),
            "GALAXY_RELAY__RTMP_PORT": str(self.rtmp),
            "GALAXY_RELAY__EDGE_PORT": str(self.edge),
        }


class Worker:
    """A process; `line` is our end of the socket between us (`realtime.worker.Inherited`)."""

    def __init__(self, process: Process, line: socket.socket):
        self.process = process
        self.since = asyncio.get_running_loop().time()
        self.leaving = False
        """It has been told to end, which it takes its time for: told again it would end at once."""
        self._line = line

    @classmethod
    async def start(cls, command: Sequence[str], slot: "Slot", environ: Mapping[str, str]) -> Self:
        line, theirs = socket.socketpair()
        line.setblocking(False)
        with theirs:
            inherited = slot.inherited(theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *command,
                "--inherited",
                str(inherited),
                pass_fds=inherited.descriptors,
                process_group=0,  # Ctrl-C is for the supervisor, which passes it on
                env={**{name: value for name, value in os.environ.items() if name != VARIABLE}, **environ},
            )
        return cls(process, line)

    async def ready(self) -> bool:
        """Waits until it accepts connections. False: it has ended before."""
        try:
            return bool(await asyncio.get_running_loop().sock_recv(self._line, 1))
        except ConnectionError:
            return False

    async def ended(self) -> int:
        """Waits for its end. Returns the exit code; that of a signal is negative."""
        code = await self.process.wait()
        self._line.close()
        return code

    def tell(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)


class Slot:
    """The place of one process; `number` counts within its kind, `place` among all. `worker` is the one that serves
    it, or was the last to do so. This one is a gateway's.
    """

    worker: Worker
    kind: Kind = "gateway"
    replaceable = True
    """A successor can take over what this one does while it still does it."""

    def __init__(self, number: int, place: int, config: Config):
        self.number = number
        self.changing = asyncio.Lock()
        self.changed = asyncio.Event()
        """There is another worker."""
        self._place, self._config = place, config
        self._public: list[socket.socket] = []
        self._udp: list[socket.socket] = []
        self._admin: list[socket.socket] = []

    @property
    def _server(self) -> Server:
        return self._config.server

    def take(self, worker: Worker) -> None:
        self.worker = worker
        self.changed.set()

    def open(self, ports: Ports) -> None:
        """Binds what is not bound yet, and notes the port. Raises OSError."""
        self._public = self._public or bind(self._server.host, ports.server, shared=True)
        ports.server = port_of(self._public)
        self._open_admin()

    def _open_admin(self) -> None:
        self._admin = self._admin or bind_admin(self._server.admin_host, self._server.admin_port, self._place)

    def close(self) -> None:
        """Lets nobody wait here any longer: connections go to the other slots."""
        for sock in (*self._public, *self._udp, *self._admin):
            sock.close()
        self._public, self._udp, self._admin = [], [], []

    def inherited(self, line: int) -> Inherited:
        public, admin, udp = (tuple(sock.fileno() for sock in some) for some in (self._public, self._admin, self._udp))
        return Inherited(self.number, line, public, admin, self.kind, udp)


class MediaSlot(Slot):
    """Encoders are shared out among all by the kernel; each has a UDP port of its own. A stream is where it is: there
    is no replacing it without an end.
    """

    kind: Kind = "media"
    replaceable = False

    def open(self, ports: Ports) -> None:
        relay = self._config.relay
        udp = relay.udp_port + self.number if relay.udp_port else 0
        with _Named("[relay] rtmp_port"):
            self._public = self._public or bind(self._server.host, ports.rtmp, shared=True)
        ports.rtmp = port_of(self._public)
        with _Named("[relay] udp_port"):
            self._udp = self._udp or bind_udp(self._server.host, udp)
        self._open_admin()


class EdgeSlot(Slot):
    kind: Kind = "edge"

    def open(self, ports: Ports) -> None:
        with _Named("[relay] edge_port"):
            self._public = self._public or bind(self._server.host, ports.edge, shared=True)
        ports.edge = port_of(self._public)
        self._open_admin()


class _Named:
    """An OSError within names the setting at fault."""

    def __init__(self, setting: str):
        self._setting = setting

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            raise OSError(error.errno, f"{self._setting}: {error.strerror}") from error


def make_slots(config: Config) -> list[Slot]:
    """Gateways first, as the first of them may have to change the database."""
    gateways, media = config.server.workers, config.relay.processes
    edges = EDGES if media else 0
    return [
        *(Slot(number, number, config) for number in range(gateways)),
        *(MediaSlot(number, gateways + number, config) for number in range(media)),
        *(EdgeSlot(number, gateways + media + number, config) for number in range(edges)),
    ]


def check_free(config: Config) -> None:
    """Raises OSError where somebody listens there already, who may have agreed to share it with whoever asks."""
    host, relay = config.server.host, config.relay
    for sock in bind(host, config.server.port):
        sock.close()
    if relay.processes:
        for setting, port in (("rtmp_port", relay.rtmp_port), ("edge_port", relay.edge_port)):
            with _Named(f"[relay] {setting}"):
                for sock in bind(host, port):
                    sock.close()
