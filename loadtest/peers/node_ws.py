"""`ws` on Node.js, from npm."""

import shutil
from pathlib import Path

from loadtest.peers.peer import Failed, launch, run
from loadtest.peers.relay_peer import RelayPeer
from loadtest.ports import free_port

PACKAGE = "ws@8.23.0"
SCRIPT = Path(__file__).with_name("node_ws.js")


class NodeWs(RelayPeer):
    """The broadcast of its README: `client.send(data, { binary })` to each."""

    title = "Node ws"

    @classmethod
    def install(cls, folder: Path) -> None:
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                raise Failed(f"{cls.title}: {program} is missing (apt-get install nodejs npm)")
        if not (folder / "node_modules" / "ws").exists():
            command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
            run(cls.title, command)

    def version(self, folder: Path) -> str:
        return f"{PACKAGE.replace('@', ' ')} on Node {run(self.title, ['node', '--version']).strip()}"

    def start(self, installed: Path, scratch: Path) -> None:
        self.port = free_port()
        modules = str(installed.resolve() / "node_modules" / "ws")
        self.process = launch(self.title, ["node", str(SCRIPT), modules, str(self.port), self.form], self.port, scratch)
