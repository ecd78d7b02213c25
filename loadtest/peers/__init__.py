"""The servers that `loadtest.bench` measures side by side: each a way to start one and to speak to it."""

from loadtest.peers.floor import Floor
from loadtest.peers.nats import Nats
from loadtest.peers.node_ws import NodeWs
from loadtest.peers.ours import Ours
from loadtest.peers.peer import Peer
from loadtest.peers.uwebsockets import UWebSockets
from loadtest.peers.websockets_broadcast import WebsocketsBroadcast

OURS = "ours"
SERVERS: dict[str, type[Peer]] = {
    OURS: Ours,
    "uwebsockets": UWebSockets,
    "nats": Nats,
    "ws": NodeWs,
    "websockets": WebsocketsBroadcast,
    "floor": Floor,
}
