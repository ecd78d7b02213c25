"""What is judged before it is published, and the one form of a judgement."""

from typing import Literal

from msgspec import Struct

from rooms.actors import Role


class Draft(Struct, frozen=True, gc=False):
    """A text on its way into a room. `what` says where it will stand."""

    what: Literal["message", "edit", "title"]
    room: str
    user: str
    role: Role
    text: str
    policy: str


Action = Literal["allow", "mask", "hold", "bounce", "block"]


class Verdict(Struct, frozen=True, gc=False):
    """The content policy's judgement of one draft.

    `mask` publishes `text` in place of the draft's; `hold` keeps the draft for moderators; `bounce` gives it back to
    its author, who may say it otherwise; `block` refuses it. `reason` is the rule's public text, `rule` its name,
    `policy` the policy's name and version.
    """

    action: Action
    policy: str
    text: str = ""
    rule: str = ""
    reason: str = ""
