"""What a request carries."""

from starlette.exceptions import HTTPException
from starlette.requests import Request


def media_type(request: Request) -> str:
    """In lower case, without parameters; empty where none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, most: int) -> bytes:
    """Raises HTTPException(413) for more than `most` bytes, ClientDisconnect where the client goes within it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"A body has at most {most} bytes.")
    return bytes(body)
