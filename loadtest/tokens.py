"""Users' tokens, as the app's back end would make them."""

import time

import jwt


def token(secret: str, user: str, name: str) -> str:
    """HS256, good for a day."""
    now = int(time.time())
    return jwt.encode({"sub": user, "name": name, "iat": now, "exp": now + 86_400}, secret, "HS256")
