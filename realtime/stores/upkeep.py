"""Writes that are no part of a room's log: profiles, what has been dealt with. Works of the writer."""

from sqlalchemy import delete, or_

from realtime.stores.schema import keys, outbox, repeats, upsert, users
from realtime.stores.schema import pending as pending_messages
from realtime.stores.transaction import Transaction
from rooms.ids import Millis


def save_profile(tx: Transaction, *, user: str, name: str, avatar: str | None) -> bool:
    tx.flush()
    statement = upsert(users).values(id=user, name=name, folded=name.casefold(), avatar=avatar)
    given = statement.excluded
    saved = tx.core.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"name": given.name, "folded": given.folded, "avatar": given.avatar},
            where=or_(users.c.name.is_distinct_from(given.name), users.c.avatar.is_distinct_from(given.avatar)),
        )
    )
    return saved.rowcount > 0


def log_out(tx: Transaction, *, user: str, at: Millis) -> None:
    statement = upsert(users).values(id=user, valid_after=at)
    tx.core.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"valid_after": statement.excluded.valid_after},
            where=users.c.valid_after < statement.excluded.valid_after,
        )
    )


def discard_pending(tx: Transaction, *, pending: str) -> bool:
    tx.erased = True
    return tx.core.execute(delete(pending_messages).where(pending_messages.c.id == pending)).rowcount > 0


def taken(tx: Transaction, *, up_to: int) -> None:
    tx.core.execute(delete(outbox).where(outbox.c.seq <= up_to))


def forget_keys(tx: Transaction, *, before: Millis) -> None:
    tx.core.execute(delete(keys).where(keys.c.at < before))
    tx.core.execute(delete(repeats).where(repeats.c.at < before))
