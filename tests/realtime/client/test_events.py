from typing import Any, get_args

import pytest

from realtime.client import (
    CommentsSampled,
    Event,
    Message,
    MessageCreated,
    ProtocolViolation,
    Quote,
    Reset,
    Skip,
    Unread,
    User,
    UserChanged,
)
from realtime.client.events import TYPES, decode_event
from rooms import events as domain
from tests.realtime.client.scripted import event, message


def test_a_message_becomes_its_type() -> None:
    raw = message(7, "hello")
    raw["message"]["reply_to"] = {"pos": 3, "by": {"id": "ann", "name": "Ann", "role": "owner"}, "text": "what"}
    raw["message"]["mentions"] = ["ann"]
    assert decode_event(raw) == MessageCreated(
        type="message.created",
        room="r1",
        pos=7,
        at=1795367182123,
        by=User(id="bob", name="Bob", role="member"),
        message=Message(
            text="hello",
            n=7,
            reply_to=Quote(pos=3, by=User(id="ann", name="Ann", role="owner"), text="what"),
            mentions=("ann",),
        ),
        fields={"message": raw["message"]},
    )


def test_a_recovered_event_of_a_deleted_message_has_no_message() -> None:
    raw = {**event("message.created", pos=2), "deleted": True}
    assert decode_event(raw) == MessageCreated(
        type="message.created",
        room="r1",
        pos=2,
        at=raw["at"],
        by=User(id="bob", name="Bob", role="member"),
        deleted=True,
        fields={"deleted": True},
    )


def test_an_unknown_type_keeps_its_fields() -> None:
    decoded = decode_event(event("policy.changed", pos=9, rule={"name": "x"}, fields=1))
    assert type(decoded) is Event
    assert (decoded.type, decoded.pos, decoded.fields) == ("policy.changed", 9, {"rule": {"name": "x"}, "fields": 1})


def test_new_fields_of_a_known_type_are_kept() -> None:
    decoded = decode_event(message(1, shiny=True))
    assert isinstance(decoded, MessageCreated)
    assert decoded.fields["shiny"] is True


def test_skip_names_its_ends() -> None:
    decoded = decode_event({"type": "room.skip", "room": "r1", "from": 3, "to": 5})
    assert isinstance(decoded, Skip)
    assert (decoded.first, decoded.last, decoded.pos) == (3, 5, None)


def test_of_spared_comments_the_counts_are_told() -> None:
    decoded = decode_event({"type": "comments.sampled", "room": "r1", "shown": 30, "total": 210})
    assert isinstance(decoded, CommentsSampled)
    assert (decoded.shown, decoded.total) == (30, 210)


def test_user_changed_lists_rooms() -> None:
    decoded = decode_event(
        {"type": "user.changed", "rooms": [{"room": "r1", "unread": 2, "mentions": 1, "read_pos": 4}]}
    )
    assert isinstance(decoded, UserChanged)
    assert decoded.rooms == [Unread(room="r1", unread=2, mentions=1, read_pos=4)]


def test_a_reset_says_where_the_log_goes_on() -> None:
    assert decode_event({"type": "room.reset", "room": "r1", "epoch": "e2", "pos": 0}) == Reset(
        type="room.reset", room="r1", epoch="e2", pos=0, fields={"epoch": "e2"}
    )


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (event("message.edited", pos=1), "target"),
        (event("message.reacted", pos=1, target="x", emoji="👍"), "target"),
        (event("member.joined", pos=1), "user"),
        (event("anything", pos="1"), "pos"),
        ({"type": "room.skip", "room": "r1", "to": 4}, "from"),
    ],
)
def test_a_wrong_shape_is_a_violation_that_names_the_field(raw: dict[str, Any], told: str) -> None:
    with pytest.raises(ProtocolViolation, match=told):
        decode_event(raw)


def test_every_logged_event_of_the_domain_has_a_type() -> None:
    tags = {kind.__struct_config__.tag for kind in get_args(domain.Logged)}
    assert tags <= TYPES.keys()


@pytest.mark.parametrize("kind", get_args(domain.Logged), ids=lambda kind: kind.__name__)
def test_no_field_of_the_domain_is_unknown_here(kind: type[Any]) -> None:
    here = TYPES[kind.__struct_config__.tag]
    assert set(kind.__struct_fields__) <= set(here.__struct_fields__)
