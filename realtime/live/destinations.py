"""Other platforms that a creator's streams are pushed to. Their stream keys are encrypted, and never shown again."""

from collections.abc import Callable
from typing import Any, assert_never
from urllib.parse import urlsplit

import structlog

from realtime import ports
from realtime.live.secrets import Secrets
from realtime.ports.lives import StoredDestination
from relay.ports import Destination
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected, not_found
from rooms.text import check_text

log = structlog.get_logger("realtime.live")

MOST = 10
"""Destinations of one user."""

OfDestinations = c.DestinationAdd | c.DestinationUpdate | c.DestinationRemove | c.DestinationList


class Destinations:
    def __init__(self, store: ports.Store, secrets: Secrets, fresh: Callable[[], str], changed: Callable[[str], None]):
        """`changed` is called with a user whose destinations are others now."""
        self._store = store
        self._secrets = secrets
        self._fresh = fresh
        self._changed = changed

    async def answer(self, actor: Actor, command: OfDestinations) -> dict[str, Any]:
        """What the `ok` reply adds; nothing of it is secret. Raises Rejected, Unavailable."""
        match command:
            case c.DestinationList():
                return {"destinations": [shown(one) for one in await self._store.destinations(actor.user)]}
            case c.DestinationAdd():
                reply = {"destination": shown(await self._add(actor.user, command))}
            case c.DestinationUpdate():
                reply = {"destination": shown(await self._update(actor.user, command))}
            case c.DestinationRemove():
                if not await self._store.remove_destination(actor.user, command.destination):
                    raise not_found("destination")
                reply = {}
            case _:
                assert_never(command)
        self._changed(actor.user)
        return reply

    async def of(self, user: str) -> tuple[Destination, ...]:
        """Those that are switched on, their keys put in. One that cannot be read is left out. Raises Unavailable."""
        found = []
        for one in await self._store.destinations(user):
            if not one.enabled:
                continue
            try:
                key = self._secrets.decrypt(one.secret, one.user, one.id)
            except Rejected as rejected:
                log.warning("destination_unreadable", user=user, destination=one.id, reason=rejected.message)
                continue
            found.append(Destination(one.id, one.name, f"{one.url.rstrip('/')}/{key}"))
        return tuple(found)

    async def _add(self, user: str, command: c.DestinationAdd) -> StoredDestination:
        _check(command.name, command.url, command.stream_key)
        new = self._fresh()
        secret = self._secrets.encrypt(command.stream_key, user, new)
        destination = StoredDestination(user, new, command.name, command.url, secret, command.enabled)
        added = await self._store.add_destination(destination, MOST)
        if added is None:
            raise Rejected("too_many", f"A user has at most {MOST} destinations.")
        if not added:
            raise _named(command.name)
        return destination

    async def _update(self, user: str, command: c.DestinationUpdate) -> StoredDestination:
        _check(command.name, command.url, command.stream_key)
        known = {one.id: one for one in await self._store.destinations(user)}.get(command.destination)
        if known is None:
            raise not_found("destination")
        key = command.stream_key
        if key is None and command.url not in (None, known.url):
            raise Rejected("bad_request", "The key that is kept is for the address before.", field="stream_key")
        updated = StoredDestination(
            user,
            known.id,
            command.name or known.name,
            command.url or known.url,
            known.secret if key is None else self._secrets.encrypt(key, user, known.id),
            known.enabled if command.enabled is None else command.enabled,
        )
        done = await self._store.update_destination(updated)
        if done is None:
            raise not_found("destination")
        if not done:
            raise _named(updated.name)
        return updated


def shown(destination: StoredDestination) -> dict[str, Any]:
    return {name: getattr(destination, name) for name in ("id", "name", "url", "enabled")}


def _named(name: str) -> Rejected:
    return Rejected("exists", f"There is a destination named {name} already.", field="name")


def _check(name: str | None, url: str | None, key: str | None) -> None:
    """Raises Rejected."""
    if name is not None:
        check_text(name, "name", lines=False)
    if url is not None:
        _check_url(url)
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise Rejected("bad_request", "A stream key is printable ASCII without spaces.", field="stream_key")


def _check_url(url: str) -> None:
    """rtmp:// or rtmps://, a host, a path; without a user, a password or a fragment, which RTMP has no place for."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    else:
        named = named and not (parts.username or parts.password or parts.fragment)
        named = named and parts.scheme in ("rtmp", "rtmps") and len(parts.path) > 1
    if not (named and url.isascii() and url.isprintable() and " " not in url):
        raise Rejected("bad_request", "Write rtmp://HOST/APPLICATION or rtmps://HOST/APPLICATION.", field="url")
