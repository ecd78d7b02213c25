"""The demo rooms of `--dev`: a lobby to talk in and a stage to watch."""

from realtime.hosting.service import Service
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from rooms.ids import Kind

HOUSE = Actor(user="galaxy", name="Galaxy", admin=True)
ROOMS: tuple[tuple[str, Kind, str], ...] = (("g.lobby", "group", "Lobby"), ("l.stage", "live", "Stage"))


async def make_demo_rooms(service: Service) -> None:
    """Makes the rooms that are not there yet. Raises Rejected where the store cannot."""
    for room, kind, title in ROOMS:
        command = c.RoomCreate(kind=kind, title=title, visibility="public", room=room)
        try:
            await service.answer(HOUSE, command)
        except Rejected as rejected:
            if rejected.code != "exists":
                raise
