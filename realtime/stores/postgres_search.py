"""PostgreSQL's full-text index: each message's words in a `tsvector` beside it. They are made here and not by the
server's parser, so that both databases find the same.
"""

from sqlalchemy import BigInteger, Connection, bindparam, text

from realtime.stores import words

MAX_WORDS = 16_383
"""The last position that a tsvector tells apart. Words of a message beyond it are not found."""
MAX_WORD = 500
"""Characters of a word that count: a lexeme has at most 2,046 bytes."""

_MISINDEXED = text(
    "SELECT asked.pos FROM unnest(CAST(:positions AS bigint[]), CAST(:vectors AS text[])) AS asked(pos, words) "
    "JOIN messages AS m ON m.room = :num AND m.pos = asked.pos "
    "WHERE m.words IS DISTINCT FROM CAST(asked.words AS tsvector) ORDER BY asked.pos"
).bindparams(bindparam("num", type_=BigInteger))
_HITS = text(
    "SELECT pos FROM messages WHERE room = :num AND words @@ CAST(:expression AS tsquery) "
    "AND pos >= :from_pos AND pos < :below ORDER BY pos DESC LIMIT :most"
).bindparams(*(bindparam(name, type_=BigInteger) for name in ("num", "from_pos", "below", "most")))


def vector(num: int, content: str) -> str:
    """A message's tsvector, as text. The room's number is a word of it, which no query can spell: the index then leads
    straight to the room's messages.
    """
    found = words.tokens(words.indexed(content))[:MAX_WORDS]
    return f"'#{num}' " + " ".join(f"{word[:MAX_WORD]}:{at}" for at, word in enumerate(found, 1))


def hits(connection: Connection, num: int, query: str, from_pos: int, below: int, limit: int) -> list[int]:
    """See `realtime.stores.timeline.Hits`."""
    phrases = []
    for term in words.terms(query):
        found = [word[:MAX_WORD] for word in words.tokens(term.text)]
        phrases.append(" <-> ".join(found) + (":*" if term.begins else ""))
    if not phrases:
        return []
    expression = " & ".join((f"'#{num}'", *(f"({phrase})" for phrase in phrases)))
    given = {"num": num, "expression": expression, "from_pos": from_pos, "below": below, "most": limit}
    return list(connection.execute(_HITS, given).scalars())


def misindexed(connection: Connection, num: int, texts: list[tuple[int, str]]) -> list[int]:
    """See `realtime.stores.verify.Own`."""
    given = {"num": num, "positions": [pos for pos, _ in texts], "vectors": [vector(num, said) for _, said in texts]}
    return list(connection.execute(_MISINDEXED, given).scalars())
