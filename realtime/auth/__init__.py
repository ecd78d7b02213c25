"""Who somebody is: tokens made by the app's back end, tickets made here."""

from realtime.auth.identity import BadToken, ExpiredToken, Identity, KeysUnavailable, UnknownKey
from realtime.auth.secrets import DEV_SECRET_FILE, kept_secret, ticket_secret
from realtime.auth.tickets import Tickets
from realtime.auth.tokens import Authenticator, issue

__all__ = [
    "DEV_SECRET_FILE",
    "Authenticator",
    "BadToken",
    "ExpiredToken",
    "Identity",
    "KeysUnavailable",
    "Tickets",
    "UnknownKey",
    "issue",
    "kept_secret",
    "ticket_secret",
]
