"""Events as rows of the log, and back: completed with names and texts as they read now."""

from typing import Any, get_args

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, select

from realtime.stores.schema import events, messages, users
from rooms import events as e
from rooms.actors import By
from rooms.text import preview

TYPES: dict[str, type[e.Logged]] = {str(kind.__struct_config__.tag): kind for kind in get_args(e.Logged)}
"""Event type on the wire → its struct."""
TAGS: dict[type[e.Logged], str] = {kind: tag for tag, kind in TYPES.items()}


_COLUMNS = frozenset({"room", "pos", "at", "by", "target", "user", "name", "message", "deleted"})
"""Fields that stand in columns of the log, or elsewhere."""


def _payload_of(kind: type[Struct]) -> type[Struct]:
    """A struct of the fields of an event that have no column of their own."""
    fields = [f for f in msgspec.structs.fields(kind) if f.name not in _COLUMNS]
    required = [(f.name, f.type) for f in fields if f.required]
    optional = [(f.name, f.type, f.default) for f in fields if not f.required]
    return msgspec.defstruct(f"{kind.__name__}Payload", [*required, *optional], omit_defaults=True, kw_only=True)


_PAYLOADS = {kind: rest for kind in TAGS if (rest := _payload_of(kind)).__struct_fields__}
_DECODERS = {kind: msgspec.json.Decoder(rest) for kind, rest in _PAYLOADS.items()}
_encode = msgspec.json.Encoder().encode
_ids = msgspec.json.Decoder(tuple[str, ...]).decode


def payload(event: e.Logged) -> str | None:
    """JSON of what `event` says beside the columns of the log."""
    kind = _PAYLOADS.get(type(event))
    if kind is None:
        return None
    return _encode(kind(**{name: getattr(event, name) for name in kind.__struct_fields__})).decode()


def ids(users_json: str | None) -> tuple[str, ...]:
    return _ids(users_json) if users_json else ()


def ids_json(users: tuple[str, ...]) -> str | None:
    return _encode(users).decode() if users else None


_author = users.alias()
_subject = users.alias()
_quoted = messages.alias()
_quoted_author = users.alias()

_BODY = (
    _author.c.name.label("name"),
    _author.c.avatar.label("avatar"),
    messages.c.text,
    messages.c.n,
    messages.c.mentions,
    messages.c.reply_to,
    _quoted.c.text.label("quoted_text"),
    _quoted.c.author.label("quoted_author"),
    _quoted.c.role.label("quoted_role"),
    _quoted_author.c.name.label("quoted_name"),
    _quoted_author.c.avatar.label("quoted_avatar"),
)
HYDRATED: Select[Any] = (
    select(
        events.c.pos,
        events.c.type,
        events.c.at,
        events.c.author,
        events.c.role,
        events.c.target,
        events.c.subject,
        events.c.payload,
        _subject.c.name.label("subject_name"),
        *_BODY,
    )
    .select_from(events)
    .outerjoin(_author, _author.c.id == events.c.author)
    .outerjoin(_subject, _subject.c.id == events.c.subject)
    .outerjoin(messages, (messages.c.room == events.c.room) & (messages.c.pos == events.c.target))
    .outerjoin(_quoted, (_quoted.c.room == messages.c.room) & (_quoted.c.pos == messages.c.reply_to))
    .outerjoin(_quoted_author, _quoted_author.c.id == _quoted.c.author)
)
"""Rows of `events` with all that they show; to be narrowed to positions of one room."""
CREATED: Select[Any] = (
    select(messages.c.pos, messages.c.at, messages.c.author, messages.c.role, *_BODY)
    .select_from(messages)
    .outerjoin(_author, _author.c.id == messages.c.author)
    .outerjoin(_quoted, (_quoted.c.room == messages.c.room) & (_quoted.c.pos == messages.c.reply_to))
    .outerjoin(_quoted_author, _quoted_author.c.id == _quoted.c.author)
)
"""The same of the events that created messages."""


def by(user: str, name: str | None, role: str, avatar: str | None) -> By:
    return By(user, name or user, role, avatar)


def body(row: Any) -> e.Body | None:
    """The message of a hydrated row; None where it is deleted."""
    if row.text is None:
        return None
    quote = None
    if row.reply_to is not None:
        if row.quoted_text is None:  # deleted, or pruned
            quote = e.Quote(row.reply_to, deleted=True)
        else:
            writer = by(row.quoted_author, row.quoted_name, row.quoted_role, row.quoted_avatar)
            quote = e.Quote(row.reply_to, writer, preview(row.quoted_text))
    return e.Body(text=row.text, n=row.n, reply_to=quote, mentions=ids(row.mentions))


def event(room: str, row: Any) -> e.Logged:
    """The event of a row of HYDRATED."""
    kind = TYPES[row.type]
    who = by(row.author, row.name, row.role, row.avatar)
    if kind is e.MessageEdited:
        return kind(
            room=room, pos=row.pos, at=row.at, by=who, target=row.target, message=body(row), deleted=row.text is None
        )
    fields: dict[str, Any] = {"room": room, "pos": row.pos, "at": row.at, "by": who}
    if row.payload is not None:
        fields |= msgspec.structs.asdict(_DECODERS[kind].decode(row.payload))
    if row.target is not None:
        fields["target"] = row.target
    if row.subject is not None:
        fields |= {"user": row.subject, "name": row.subject_name or row.subject}
    return kind(**fields)


def created(room: str, row: Any) -> e.MessageCreated:
    """The event of a row of CREATED."""
    who = by(row.author, row.name, row.role, row.avatar)
    return e.MessageCreated(room=room, pos=row.pos, at=row.at, by=who, message=body(row), deleted=row.text is None)


def read_events(connection: Connection, room: str, num: int, after: int, to: int, limit: int | None) -> list[e.Logged]:
    """Events of the room numbered `num` with `after < pos <= to`, ascending."""
    found: list[e.Logged] = []
    for query, table, read in ((CREATED, messages, created), (HYDRATED, events, event)):
        here = query.where(table.c.room == num, table.c.pos > after, table.c.pos <= to)
        found += [read(room, row) for row in connection.execute(here.order_by(table.c.pos).limit(limit))]
    found.sort(key=lambda logged: logged.pos)
    return found[:limit]
