"""Who a text mentions."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.mentions import EVERYBODY, MAX_MENTIONS, MAX_NAME, Named, candidates, mentioned

KNOWN = Named(
    frozenset({"ann", "bob", "u-1", "u.2", "x" * MAX_NAME, "小明"}),
    {
        "ann lee": "annlee",
        "ann lee jones": "annjones",
        "max": None,
        "max power": None,
        "李雷": "lilei",
        "straße": "str",
    },
)


@pytest.mark.parametrize(
    ("text", "users"),
    [
        ("@ann", ["ann"]),
        ("hi @ann, @bob!", ["ann", "bob"]),
        ("@bob @ann @bob", ["bob", "ann"]),
        ("(@ann)", ["ann"]),
        ("@ann: look", ["ann"]),
        ("@ann's", ["ann"]),
        ("@anna", []),
        ("@ann_b", []),
        ("@Ann", []),
        ("@ANN LEE", ["annlee"]),
        ("@Ann Lee Jones", ["annjones"]),
        ("@Ann Lee Jonesy", ["annlee"]),
        ("@Ann Leeds", []),
        ("@ann leeds", ["ann"]),
        ("@u-1 @u.2", ["u-1", "u.2"]),
        ("@u-12", []),
        ("@max", []),
        ("@max power", []),
        ("mail ann@ann.example or x@bob", []),
        ("ann@@bob", ["bob"]),
        ("@@ann", ["ann"]),
        ("@ ann", []),
        ("@", []),
        ("你好@ann你好", ["ann"]),
        ("请@小明看看@李雷。", ["小明", "lilei"]),
        ("@李雷李雷", ["lilei"]),
        ("สวัสดี@ann", ["ann"]),
        ("@STRASSE", ["str"]),
        ("\n@ann\n", ["ann"]),
        ("@all", [EVERYBODY]),
        ("hey @all!", [EVERYBODY]),
        ("@ALL @alloy @all_", []),
        ("@" + "x" * MAX_NAME, ["x" * MAX_NAME]),
        ("@" + "x" * (MAX_NAME + 1), []),
        ("<@ann>", ["ann"]),
        ("@\u202eann", []),
    ],
)
def test_mentions(text: str, users: list[str]) -> None:
    folded = Named(KNOWN.ids, {name.casefold(): user for name, user in KNOWN.names.items()})
    assert list(mentioned(text, folded)) == users


def test_a_name_may_hide_everybody() -> None:
    assert mentioned("@all hands", Named(names={"all hands": "hands"})) == ("hands",)


def test_only_the_first_mentions_count() -> None:
    text = " ".join(f"@u{n}" for n in range(100))
    users = mentioned(text, Named(frozenset(f"u{n}" for n in range(100))))
    assert users == tuple(f"u{n}" for n in range(MAX_MENTIONS))


@given(st.text(st.sampled_from(string.ascii_letters + string.digits), min_size=1, max_size=MAX_NAME), st.data())
def test_whoever_is_named_after_an_at_sign_is_mentioned(name: str, data: st.DataObject) -> None:
    before = data.draw(st.sampled_from(["", " ", "你", "(", "\n", "—"]))
    after = data.draw(st.sampled_from(["", " ", ".", "好", "\n", "!", "-"]))
    text = f"{before}@{name}{after}"
    assert name in candidates(text)
    assert mentioned(text, Named(frozenset({name}))) == (name,)
    assert mentioned(text, Named(names={name.casefold(): "somebody"})) == ("somebody",)


@given(st.text(st.sampled_from("@@@ab _.你\n"), max_size=60), st.sets(st.text(st.sampled_from("ab _.你"), min_size=1)))
def test_only_candidates_are_ever_found_and_every_mention_stands_in_the_text(text: str, names: set[str]) -> None:
    found = mentioned(text, Named(frozenset(names)))
    assert set(found) - {EVERYBODY} <= candidates(text) & names
    assert all(f"@{user}" in text for user in found)
    asked = candidates(text)
    assert mentioned(text, Named(frozenset(names & asked))) == found


@given(st.text(max_size=300))
def test_any_text_asks_for_a_bounded_number_of_names(text: str) -> None:
    asked = candidates(text)
    assert len(asked) <= MAX_MENTIONS * MAX_NAME
    assert all(1 <= len(name) <= MAX_NAME and name in text for name in asked)


@given(st.text(st.sampled_from("abc.-+ @"), max_size=40), st.text(st.sampled_from("ab"), min_size=1, max_size=5))
def test_what_follows_a_letter_or_digit_mentions_nobody(before: str, name: str) -> None:
    assert mentioned(f"{before.replace('@', '')}z@{name}", Named(frozenset({name}))) == ()
