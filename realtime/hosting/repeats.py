"""Commands that are sent again: what has succeeded before is answered as it was then, and done once."""

import structlog

from realtime import ports
from realtime.hosting.entry import Entry, repeat
from rooms.errors import Rejected

logger = structlog.get_logger("realtime.repeats")


async def repeated(store: ports.Store, entry: Entry) -> bool:
    """Whether the command has succeeded before. Then it is answered: of many that are repeated together, as by a client
    that has come back, not each need end a batch. Raises Unavailable.
    """
    found = await store.duplicate(entry.key) if entry.key is not None else None
    if found is not None:
        entry.done(repeat(found))
    return found is not None


async def first_reply(store: ports.Store, entry: Entry, refusal: Rejected) -> None:
    """Answers a command that is to be refused now: with its first reply, if it has succeeded before."""
    try:
        if await repeated(store, entry):
            return
    except ports.Unavailable as error:
        refusal = Rejected("unavailable", "Try again in a moment.", retry_after_ms=error.retry_after_ms)
    except Exception:
        logger.exception("first_reply_failed", command=type(entry.command).__name__)
        refusal = Rejected("internal", "Something went wrong here.")
    entry.done(refusal)
