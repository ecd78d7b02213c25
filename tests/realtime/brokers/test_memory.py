from realtime.brokers.memory import MemoryBroker
from rooms.actors import By
from rooms.events import RoomClosed


async def test_a_node_alone_publishes_to_nobody() -> None:
    heard: list[str] = []
    broker = MemoryBroker()
    await broker.open(lambda room, events: heard.append(room))
    broker.publish("r", [RoomClosed(room="r", pos=1, at=1, by=By("ann", "Ann", "owner"))])
    await broker.close()
    assert heard == []
