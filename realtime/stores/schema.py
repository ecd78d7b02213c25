"""The tables: the log, the projections that follow from it, and what stands beside it.

Types are those that SQLite and PostgreSQL share; JSON is text that msgspec writes. A message's text stands in
`messages` alone: log rows of edited messages carry none and are completed when read. A created message's row there is
its row of the log too: `events` has all other events.
Times are milliseconds since the Unix epoch. `room` is the room's number, which stands for its id everywhere else.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData()
upsert = postgresql.insert
"""INSERT with ON CONFLICT, which SQLite and PostgreSQL write alike."""

Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a primary key of the type INTEGER."""


def _room(*, primary_key: bool = False) -> Column[int]:
    return Column("room", BigInteger, ForeignKey("rooms.num"), primary_key=primary_key, nullable=False)


users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("folded", Text),  # the name casefolded, to be looked up
    Column("avatar", Text),
    Column("valid_after", BigInteger, nullable=False, server_default="0"),
    Index("users_folded", "folded"),
    sqlite_with_rowid=False,
)

rooms = Table(
    "rooms",
    metadata,
    Column("num", Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("first_pos", BigInteger, nullable=False),
    Column("pos", BigInteger, nullable=False),
    Column("rules_pos", BigInteger, nullable=False),  # the last event that took a right from somebody
    Column("n", BigInteger, nullable=False),  # messages ever sent
    Column("members", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Index("rooms_recent", "visibility", "closed", "last_at", "num"),
    Index("rooms_popular", "visibility", "closed", "members", "num"),
)

events = Table(
    "events",
    metadata,
    _room(primary_key=True),
    Column("pos", BigInteger, primary_key=True),
    Column("type", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("target", BigInteger),  # the message concerned
    Column("subject", Text),  # the user concerned
    Column("payload", Text),  # JSON of the event's other fields
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    _room(primary_key=True),
    Column("pos", BigInteger, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("text", Text),  # NULL once deleted
    Column("mentions", Text),  # JSON of user ids; NULL for none
    Column("reply_to", BigInteger),
    Column("edited_at", BigInteger),
    sqlite_with_rowid=False,
)

originals = Table(
    "originals",
    metadata,
    _room(primary_key=True),
    Column("target", BigInteger, primary_key=True),
    Column("edit", BigInteger, primary_key=True),  # the position of the edit that replaced it
    Column("at", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

mentions = Table(
    "mentions",
    metadata,
    _room(primary_key=True),
    Column("user", Text, primary_key=True),  # "all" for everybody
    Column("pos", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

reactions = Table(
    "reactions",
    metadata,
    _room(primary_key=True),
    Column("target", BigInteger, primary_key=True),
    Column("emoji", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("rank", Integer, nullable=False),  # the emoji's place among the message's, by first appearance
    sqlite_with_rowid=False,
)

pins = Table(
    "pins",
    metadata,
    _room(primary_key=True),
    Column("target", BigInteger, primary_key=True),
    Column("until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

room_users = Table(
    "room_users",
    metadata,
    _room(primary_key=True),
    Column("user", Text, primary_key=True),
    Column("role", SmallInteger, nullable=False),  # rooms.actors.Role
    Column("joined_pos", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("muted_until", BigInteger, nullable=False),
    Column("banned_until", BigInteger, nullable=False),
    Column("read_pos", BigInteger, nullable=False),
    Column("read_n", BigInteger, nullable=False),  # messages up to read_pos
    Index("room_users_role", "room", "role", "user"),
    Index("room_users_user", "user", "role", "room"),
    sqlite_with_rowid=False,
)

invites = Table(
    "invites",
    metadata,
    Column("code", Text, primary_key=True),
    _room(),
    Column("by", Text, nullable=False),
    Column("uses", BigInteger),  # what is left; NULL for no bound
    Column("until", BigInteger),
    Index("invites_room", "room"),
    sqlite_with_rowid=False,
)

pending = Table(
    "pending",
    metadata,
    Column("id", Text, primary_key=True),
    _room(),
    Column("kind", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("actor", Text, nullable=False),  # JSON of rooms.actors.Actor
    Column("at", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("reply_to", BigInteger),
    Column("release_at", BigInteger),
    Column("rule", Text, nullable=False),
    Index("pending_room", "room", "at"),
    Index("pending_due", "release_at"),
    sqlite_with_rowid=False,
)

reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    _room(),
    Column("by", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("target", BigInteger),
    Column("user", Text),
    Column("text", Text),
    Index("reports_room", "room", "at"),
    sqlite_with_rowid=False,
)

keys = Table(
    "keys",
    metadata,
    Column("key", Text, primary_key=True),  # first: those of clients that begin with the time then arrive in order
    Column("user", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("reply", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("keys_at", "at"),
    sqlite_with_rowid=False,
)

repeats = Table(
    "repeats",
    metadata,
    _room(primary_key=True),
    Column("user", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index("repeats_at", "at"),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("records", Text, nullable=False),  # JSON of a list of rooms.records.Record
)

unindexed = Table(
    "unindexed",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("runs", Text, nullable=False),  # JSON of [room, first position, last position] of messages, one a room
)
"""What each transaction leaves out of the full-text index; emptied when it is indexed (docs/decisions/0011)."""


lives = Table(
    "lives",
    metadata,
    _room(primary_key=True),
    Column("session", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("category", Text),
    Column("mature", Boolean, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("interrupted", BigInteger),  # since when, where it is
    Column("first_pos", BigInteger, nullable=False),  # of live.started
    Column("last_pos", BigInteger),  # of live.stopped; NULL while it is on
    Column("taken_down", Boolean, nullable=False),
    Index("lives_open", "room", "last_pos"),
    sqlite_with_rowid=False,
)

streams = Table(
    "streams",
    metadata,
    _room(primary_key=True),
    # as rooms.live.Stream has them
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("node", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("reason", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("category", Text),
    Column("mature", Boolean, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("stopped", Boolean, nullable=False),
    Column("takeovers", Integer, nullable=False, server_default="0"),
    Column("contested", BigInteger, nullable=False, server_default="0"),
    Index("streams_until", "until"),
    Index("streams_process", "process", "state"),
    Index("streams_user", "user", "state"),
    sqlite_with_rowid=False,
)

stream_keys = Table(
    "stream_keys",
    metadata,
    _room(primary_key=True),
    Column("user", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("hash", LargeBinary),  # SHA-256 of the key; NULL where none was asked for
    Column("granted", Boolean, nullable=False),  # the user's last token made them an owner of the room
    Column("kyc", Boolean, nullable=False),  # as that token said
    Index("stream_keys_hash", "hash", unique=True),
    sqlite_with_rowid=False,
)

destinations = Table(
    "destinations",
    metadata,
    Column("user", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),  # the stream key there, encrypted (realtime.live.secrets)
    Column("enabled", Boolean, nullable=False),
    Index("destinations_name", "user", "name", unique=True),
    sqlite_with_rowid=False,
)

recordings = Table(
    "recordings",
    metadata,
    _room(primary_key=True),
    Column("id", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),  # listed, unlisted, hidden, deleted
    Column("started_at", BigInteger, nullable=False),
    Column("length_ms", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("parts", Integer, nullable=False, server_default="1"),
    Column("folder", Text, nullable=False),
    Column("node", Text, nullable=False),
    Index("recordings_listed", "room", "started_at", "id"),
    Index("recordings_node", "node", "state"),
    sqlite_with_rowid=False,
)
