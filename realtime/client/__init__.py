"""The Python client: an async context manager for tests, bots and scripts (docs/protocol.md).

A bot that answers "!ping":

```python
import asyncio, os
from realtime.client import Client, MessageCreated

async def main(url: str, token: str) -> None:
    async with Client(url, token=token) as me, me.room("g.lobby") as room:
        async for event in room.events():
            if isinstance(event, MessageCreated) and event.message and event.message.text == "!ping":
                await room.send("pong", reply_to=event.pos)

asyncio.run(main("http://127.0.0.1:8080", os.environ["GALAXY_TOKEN"]))
```
"""

from realtime.client.backoff import Clock, SystemClock
from realtime.client.commands import Accepted, ListedMessage, LogPage, MessagePage, Reaction, Sent
from realtime.client.connection import Client, TokenProvider
from realtime.client.errors import (
    ClientError,
    Closed,
    CommandError,
    ConnectionLost,
    ProtocolViolation,
    UpgradeRefused,
)
from realtime.client.events import (
    CommentsSampled,
    Event,
    Invited,
    LiveInterrupted,
    LiveResumed,
    LiveStarted,
    LiveStopped,
    LiveUpdated,
    LiveViewers,
    MemberBanned,
    MemberEvent,
    MemberJoined,
    MemberKicked,
    MemberLeft,
    MemberMuted,
    MemberRole,
    MemberUnbanned,
    MemberUnmuted,
    Mention,
    Message,
    MessageCreated,
    MessageDeleted,
    MessageEdited,
    MessagePending,
    MessagePinned,
    MessageReacted,
    MessageUnpinned,
    MessageUnreacted,
    PendingResolved,
    Position,
    Presence,
    Quote,
    Reactions,
    Removed,
    Reset,
    RoomClosed,
    RoomCreated,
    RoomInfo,
    RoomUpdated,
    Skip,
    TipSettled,
    Typing,
    Unread,
    User,
    UserChanged,
)
from realtime.client.link import CodecName, Welcome
from realtime.client.rooms import Room, You
from realtime.client.stream import EventStream

__all__ = [
    "Accepted",
    "Client",
    "ClientError",
    "Clock",
    "Closed",
    "CodecName",
    "CommandError",
    "CommentsSampled",
    "ConnectionLost",
    "Event",
    "EventStream",
    "Invited",
    "ListedMessage",
    "LiveInterrupted",
    "LiveResumed",
    "LiveStarted",
    "LiveStopped",
    "LiveUpdated",
    "LiveViewers",
    "LogPage",
    "MemberBanned",
    "MemberEvent",
    "MemberJoined",
    "MemberKicked",
    "MemberLeft",
    "MemberMuted",
    "MemberRole",
    "MemberUnbanned",
    "MemberUnmuted",
    "Mention",
    "Message",
    "MessageCreated",
    "MessageDeleted",
    "MessageEdited",
    "MessagePage",
    "MessagePending",
    "MessagePinned",
    "MessageReacted",
    "MessageUnpinned",
    "MessageUnreacted",
    "PendingResolved",
    "Position",
    "Presence",
    "ProtocolViolation",
    "Quote",
    "Reaction",
    "Reactions",
    "Removed",
    "Reset",
    "Room",
    "RoomClosed",
    "RoomCreated",
    "RoomInfo",
    "RoomUpdated",
    "Sent",
    "Skip",
    "SystemClock",
    "TipSettled",
    "TokenProvider",
    "Typing",
    "Unread",
    "UpgradeRefused",
    "User",
    "UserChanged",
    "Welcome",
    "You",
]
