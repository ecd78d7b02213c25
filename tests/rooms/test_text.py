"""What may stand in a text, and what counts as an emoji."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.errors import Rejected
from rooms.text import MAX_MARKS, check_emoji, check_text, is_emoji, is_emoji_only, preview


def refused(text: str, *, lines: bool = True) -> bool:
    try:
        check_text(text, "text", lines=lines)
    except Rejected as refusal:
        assert (refusal.code, refusal.field) == ("bad_request", "text")
        return True
    return False


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "two\nlines\tand\r\na tab",
        "<script>alert(1)</script>",
        "مرحبا",
        "\u202eright to left",
        "e\u0301" * 500,
        "สวัสดี",
        "नमस्ते",
        "한국어",
        "👨‍👩‍👧‍👦",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\U0001fae9",
        "\U0001faff",
        "a" + "\u0301" * MAX_MARKS,
        "a\u200b" * 1_000,
        ".",
        "x" * 65_536,
        "\u2028x",
    ],
    ids=ascii,
)
def test_texts_that_are_shown(text: str) -> None:
    assert not refused(text)


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "\n",
        " \t\r\n",
        "\u00a0\u2003\u3000",
        "\u200b",
        "\u200d\u2060\ufeff",
        "\u3164",
        "\u115f\u1160\uffa0",
        "\u2800\u2800",
        "\u0301",
        "\ufe0f",
        "\u2028",
        "\ue000",
        "\U000e0061",
        "\u061c\u202e\u2066",
        "\U0001ffff",
        "\uffff",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("around", ["", " "])
def test_texts_that_show_nothing(text: str, around: str) -> None:
    assert refused(around + text + around)


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ud800"], ids=ascii)
def test_characters_that_no_screen_should_be_given(char: str) -> None:
    assert refused(f"hello{char}world")


@pytest.mark.parametrize("char", ["\n", "\t", "\r", "\u2028", "\u2029", "\x0b", "\x0c", "\x85"], ids=ascii)
def test_titles_stand_in_one_line(char: str) -> None:
    assert refused(f"hello{char}world", lines=False)


@pytest.mark.parametrize("mark", ["\u0301", "\u200b", "\u0489", "\u202e", "\u2066\u0336"], ids=ascii)
def test_floods_of_marks(mark: str) -> None:
    assert refused("a" + mark * (MAX_MARKS + 1) + "b")


@given(st.text(st.characters()))
def test_any_text_is_shown_or_refused_and_what_is_shown_can_be_sent(text: str) -> None:
    if not refused(text):
        assert not set(text) & set(map(chr, range(9)))
        text.encode()
        if text:
            assert any(unicodedata.category(char) not in ("Cc", "Cf", "Zs", "Mn") for char in text)


EMOJI = [
    "👍",
    "❤",
    "❤️",
    "☺️",
    "👍🏽",
    "🇫🇷",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "#️⃣",
    "1⃣",
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🏴‍☠️",
    "👩🏽‍🚀",
    "❤️‍🔥",
    "🧑🏻‍🤝‍🧑🏿",
    "⏰",
    "©️",
    "🅰️",
    "🈚",
    "🀄",
    "⭐",
    "🫠",
    "\U0001fae9",
    "㊙️",
]


@pytest.mark.parametrize("emoji", EMOJI, ids=ascii)
def test_one_emoji(emoji: str) -> None:
    assert is_emoji(emoji)
    check_emoji(emoji)
    assert is_emoji_only(emoji)
    assert is_emoji_only(f" {emoji}{emoji}\n{emoji} ")
    assert not is_emoji(emoji + "👍")
    assert not is_emoji_only(emoji + "a")
    assert not is_emoji_only("1" + emoji + "2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "1",
        "123\u20e3456",
        "\u20e3",
        "\ufe0f",
        "\u200d",
        "🏽",
        "🏽🏽",
        "\u2800",
        "∑",
        "┼",
        "🄰",
        "❶",
        "🇫",
        "🇫🇷🇩",
        "👍\u200d",
        "\u200d👍",
        "👍" + "\U000e0061" * 3,
        "👍\u0301",
        "👍\u202e",
        "\U000e0061",
        "♥\ufe0f\ufe0f",
        "👍a",
        "::",
        ":",
        ":a b:",
        ":é:",
        ":__:",
        ":<b>:",
    ],
    ids=ascii,
)
def test_no_emoji(text: str) -> None:
    assert not is_emoji(text)
    assert not is_emoji_only(text)
    with pytest.raises(Rejected) as refused:
        check_emoji(text)
    assert (refused.value.code, refused.value.field) == ("bad_request", "emoji")


@pytest.mark.parametrize("text", [":wave:", ":+1:", ":thumbs_up:", ":100:"])
def test_shortcodes_are_reactions_but_no_emoji(text: str) -> None:
    check_emoji(text)
    assert not is_emoji_only(text)


@given(st.lists(st.sampled_from(EMOJI), min_size=1), st.sampled_from(["", " ", "\n"]))
def test_emoji_in_any_number_are_emoji_only(emoji: list[str], between: str) -> None:
    assert is_emoji_only(between.join(emoji))


@pytest.mark.parametrize("text", ["👍 " * 30_000 + "a", "👨‍" * 30_000, "🇫" * 30_001, " " * 60_000, "1️⃣" * 20_000 + "1"])
def test_long_texts_are_told_in_linear_time(text: str) -> None:
    """Were it not linear, this would run into the suite's time limit."""
    assert not is_emoji_only(text)


def test_previews_say_that_they_are_cut() -> None:
    assert preview("x" * 200) == "x" * 200
    assert preview("x" * 201) == "x" * 199 + "…"
