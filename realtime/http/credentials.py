"""Who sends a request: `Authorization: Bearer`; where a room is read, also `?ticket=` and `?token=`."""

from starlette.requests import Request

from realtime.auth import Identity
from realtime.gateway.admission import Admission, actor_of, bearer
from realtime.hosting.service import Service
from rooms.errors import Rejected


class Credentials:
    def __init__(self, admission: Admission, service: Service):
        self._admission = admission
        self._service = service

    async def of_header(self, request: Request) -> Identity:
        """Raises Rejected(`unauthorized`), (`unavailable`), Unavailable."""
        token = bearer(request.headers.get("authorization"))
        if token is None:
            raise Rejected("unauthorized", "This needs a token: Authorization: Bearer.", field="token")
        return await self._admission.identify_for_request(token)

    async def for_room(self, request: Request, room: str) -> Identity | None:
        """Who reads the room; None for who says nothing of themselves. Raises as `of_header` does."""
        if "authorization" in request.headers:
            return await self.of_header(request)
        if (ticket := request.query_params.get("ticket")) is not None:
            identity = self._admission.holder(ticket, room)
            await self._service.check_profile(actor_of(identity), identity.issued_ms)
            return identity
        if (token := request.query_params.get("token")) is not None:
            return await self._admission.identify_for_request(token)
        return None
