import re
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.words import MASK, MAX_WORD, MAX_WORDS, WordList
from rooms.actors import Role
from rooms.drafts import Draft, Verdict


def judge(words: WordList, text: str, policy: str = "default") -> Verdict:
    return words.judge(Draft("message", "r", "ann", Role.MEMBER, text, policy))


def masked(text: str, *words: str) -> str:
    """The text as it would be shown."""
    verdict = judge(WordList(masked=words), text)
    assert verdict.action in ("allow", "mask")
    return verdict.text if verdict.action == "mask" else text


@pytest.mark.parametrize(
    ("word", "text", "shown"),
    [
        ("rascal", "You rascal!", "You ••••••!"),
        ("rascal", "RASCAL rascal", "•••••• ••••••"),
        ("cunt", "Scunthorpe", "Scunthorpe"),
        ("ass", "class, assess, ass.", "class, assess, •••."),
        ("ass", "ass_ass-ass", "•••_•••-•••"),
        ("bad", "bad2 2bad", "bad2 2bad"),
        ("straße", "STRASSE", "•••••••"),
        ("Σίσυφος", "σίσυφοσ", "•••••••"),
        ("rascal", "ｒａｓｃａｌ", "••••••"),
        ("rascal", "𝓻𝓪𝓼𝓬𝓪𝓵 𝐑𝐚𝐬𝐜𝐚𝐥", "•••••• ••••••"),
        ("fish", "a ﬁsh", "a •••"),
        ("rascal", "ra\u200bs\u2060cal\u00ad", "••••••••\u00ad"),
        ("rascal", "r\u0336a\u0301s\u0489cal", "•••••••••"),
        ("rascal", "r\u034fascal", "•••••••"),
        ("naive", "naïve", "•••••"),
        ("naïve", "naive", "•••••"),
        ("坏蛋", "你这个坏蛋啊", "你这个••啊"),
        ("坏蛋", "坏\u200b蛋", "•••"),
        ("bad", "你bad啊", "你•••啊"),
        ("ばか", "おばかさん", "お••さん"),
        ("ばか", "はか", "はか"),
        ("はか", "ばか", "ばか"),
        ("か", "が", "が"),
        ("バカ", "ﾊﾞｶ", "•••"),
        ("나쁜", "나쁜놈은", "••놈은"),
        ("가", "각", "각"),
        ("가", "\u1100\u1161", "••"),
        ("कल", "काल", "काल"),
        ("कल", "कला", "कला"),
        ("कल", "कल।", "••।"),
        ("bad word", "a bad \n\t word", "a •••••••••••"),
        ("bad word", "a badword", "a badword"),
        ("x+y", "x+y xxy", "••• xxy"),
        ("(.*)+$", "aaaa (.*)+$", "aaaa ••••••"),
        ("bad", "", ""),
    ],
)
def test_matches_what_a_reader_would_call_the_word(word: str, text: str, shown: str) -> None:
    assert masked(text, word) == shown


def test_the_longest_word_at_a_place_is_masked() -> None:
    assert masked("bad badly bad ly", "bad", "badly", "bad ly") == "••• ••••• ••••••"


def test_verdicts_say_rule_reason_and_policy() -> None:
    words = WordList(blocked=["villain"], masked=["rascal"])
    assert judge(words, "fine").action == "allow"
    mask, block = judge(words, "rascal"), judge(words, "rascal villain")
    assert (mask.action, mask.rule, mask.text) == ("mask", "masked_words", "••••••")
    assert (block.action, block.rule, block.text) == ("block", "blocked_words", "")
    assert "not allowed" in block.reason
    assert "villain" not in block.reason


def test_the_policys_version_is_that_of_its_lists() -> None:
    def version(blocked: list[str], masked: list[str]) -> str:
        return judge(WordList(blocked, masked), "x").policy

    assert version(["a", "b"], ["c"]) == version(["B", "a", "a"], ["C"])
    versions = [version([], []), version(["a"], []), version([], ["a"]), version(["a", "b"], []), version(["a"], ["b"])]
    assert len(set(versions)) == len(versions)
    assert all(re.fullmatch(r"default@[0-9a-f]{8}", name) for name in versions)


def test_policy_none_allows_blocked_words() -> None:
    assert judge(WordList(blocked=["villain"]), "villain", "none") == Verdict("allow", "none")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["ok", ""], "nothing that could be found"),
        ([" \u200b\u0301"], "nothing that could be found"),
        (["x" * (MAX_WORD + 1)], "longer than 64"),
        (["\ufdfa" * 10], "longer than 64"),
        ([f"w{n}" for n in range(MAX_WORDS + 1)], "at most 5000"),
    ],
)
@pytest.mark.parametrize("which", ["blocked", "masked"])
def test_refuses_lists_it_cannot_serve(words: list[str], problem: str, which: str) -> None:
    with pytest.raises(ValueError, match=rf"^{which}: .*{problem}"):
        WordList(**{which: words})


def test_masking_that_would_bare_a_word_refuses_the_text() -> None:
    """½ folds to 1⁄2: masking all of it for its 1 leaves `bad` standing alone."""
    assert masked("½bad", "bad") == "½bad"
    assert judge(WordList(masked=["bad", "1"]), "½bad").action == "block"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 65_536,
        "bad" + " " * 65_000,
        "bad  " * 13_000,
        "ab" * 32_768,
        "(a+)+$" * 10_000,
        "\u0301" * 65_536,
        "ﷺ" * 16_000,
        "½" * 65_536,
        "坏" * 65_536,
        "".join(map(chr, range(0x10000, 0x20000))),
    ],
    ids=lambda text: ascii(text[:4]),
)
def test_hostile_texts_are_judged_in_time_linear_in_their_length(text: str) -> None:
    """Were it not linear, this would run into the suite's time limit."""
    runs = ["a" * n for n in range(1, 60)] + ["ab" * n for n in range(1, 30)] + ["坏" * n for n in range(2, 60)]
    words = WordList(blocked=["bad word", *runs], masked=["bad  x", "1", "aab ab"])
    judge(words, text)
    judge(words, text + "b")


def test_a_thousand_words_of_the_full_length() -> None:
    words = WordList(blocked=["x" * n + "y" for n in range(MAX_WORD)], masked=[f"{n:064}" for n in range(1_000)])
    assert judge(words, "x" * 60 + "y").action == "block"
    assert judge(words, f"{7:064}").text == MASK * 64


words_of_letters = st.text(st.sampled_from(string.ascii_letters + "éßж坏蛋か가"), min_size=1, max_size=8)
decoration = st.sampled_from(["", "\u200b", "\u0301", "\ufe0f", "\u2060"])


def seen(text: str) -> str:
    """The text as a reader compares it, by another way than the code's: whole-string normalisation."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in folded if unicodedata.category(char) not in ("Mn", "Me", "Cf"))


def holds(text: str, word: str) -> bool:
    spaced = r"[^\W_\u3040-\u30ff\u4e00-\u9fff\u1100-\u11ff]"
    folded = re.escape(seen(word))
    start = rf"(?<!{spaced})" if re.match(spaced, seen(word)[0]) else ""
    end = rf"(?!{spaced})" if re.match(spaced, seen(word)[-1]) else "(?![\u1160-\u11ff])"
    return re.search(start + folded + end, seen(text)) is not None


@given(st.lists(words_of_letters, min_size=1, max_size=5), st.data())
def test_a_mask_keeps_the_length_and_reveals_no_masked_word(words: list[str], data: st.DataObject) -> None:
    piece = st.one_of(st.sampled_from(words), words_of_letters, st.sampled_from([" ", "_", ".", "坏"]))
    pieces = data.draw(st.lists(st.tuples(piece, decoration).map("".join), max_size=12))
    text = "".join(pieces)
    held = any(holds(text, word) for word in words)
    verdict = judge(WordList(masked=words), text)
    assert verdict.action == ("mask" if held else "allow")
    if held:
        assert len(verdict.text) == len(text)
        assert not any(holds(verdict.text, word) for word in words)
        assert all(new in (old, MASK) for old, new in zip(text, verdict.text, strict=True))


@given(st.text(max_size=200))
def test_any_text_is_judged_and_what_is_not_listed_stays(text: str) -> None:
    words = WordList(blocked=["zzyzx"], masked=["坏蛋坏蛋", "ab cd"])
    verdict = judge(words, text)
    if not any(holds(text, word) for word in ("zzyzx", "坏蛋坏蛋")) and "ab" not in seen(text):
        assert verdict.action == "allow"
