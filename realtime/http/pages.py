"""The web client: `/`, `/room/ID`, `/studio/ID`, `/overlay/ID`, and the files under `/web/`."""

import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).parents[1] / "web"

# What a system's own table says of these differs; with `nosniff` a wrong type keeps a script from running.
for suffix, media_type in {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".ts": "text/plain",
    ".svg": "image/svg+xml",
}.items():
    mimetypes.add_type(media_type, suffix)


class WebFiles(StaticFiles):
    """Kept by browsers, but asked for each time (ETag): after an update nobody runs old scripts beside new ones."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


class Pages:
    def __init__(self) -> None:
        self.files = WebFiles(directory=WEB)

    async def index(self, request: Request) -> Response:
        return await self.files.get_response("index.html", request.scope)

    async def room(self, request: Request) -> Response:
        """A live room's stream. The page itself asks whether there is such a room."""
        return await self.files.get_response("room.html", request.scope)

    async def studio(self, request: Request) -> Response:
        """From where a live room's owner streams; whether somebody is, the page itself asks."""
        return await self.files.get_response("studio.html", request.scope)

    async def overlay(self, request: Request) -> Response:
        """A live room's comments on transparent ground, for OBS."""
        return await self.files.get_response("overlay.html", request.scope)
