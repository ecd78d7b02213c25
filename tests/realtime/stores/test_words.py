import pysqlite3  # type: ignore[import-untyped]  # has no stubs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.stores.words import indexed, match, terms, tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plain text", "plain text"),
        ("你", " 你 "),
        ("你好吗", " 你好 好吗 吗 "),
        ("a你好b", "a 你好 好 b"),
        ("你，好", " 你 , 好 "),
        ("ﾊﾝｶｸ", " ハン ンカ カク ク "),
        ("𠀀𠀁", " 𠀀𠀁 𠀁 "),
    ],
)
def test_indexed(text: str, words: str) -> None:
    assert indexed(text) == words


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        ("one two", '"one" "two"*'),
        ("你", '"你"*'),
        ("你好吗 x", '"你好 好吗" "x"*'),
        ("x你y", '"x" "你"* "y"*'),
        ('a"b', '"a""b"*'),
        ("!! 😀", ""),
        ("", ""),
    ],
)
def test_match(query: str, expression: str) -> None:
    assert match(query) == expression


@given(st.text(max_size=40))
def test_no_query_is_a_syntax_error(query: str) -> None:
    index = pysqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE search USING fts5(text, content='')")
    expression = match(query)
    if expression:
        assert index.execute("SELECT rowid FROM search WHERE search MATCH ?", (expression,)).fetchall() == []
    index.close()


_CHARS = st.sampled_from("ab1你好吗世界ひらカ국어 ,")


@given(st.text(_CHARS, min_size=1, max_size=20), st.data())
def test_any_stretch_of_a_run_is_found(text: str, data: st.DataObject) -> None:
    runs = [run for run in "".join(c if c in "你好吗世界ひらカ국어" else " " for c in text).split() if run]
    index = pysqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE search USING fts5(text, content='')")
    index.execute("INSERT INTO search(rowid, text) VALUES (1, ?)", (indexed(text),))
    for run in runs:
        start = data.draw(st.integers(0, len(run) - 1))
        stretch = run[start : data.draw(st.integers(start + 1, len(run)))]
        assert index.execute("SELECT rowid FROM search WHERE search MATCH ?", (match(stretch),)).fetchall() == [(1,)]
    index.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Plain TEXT, v1.2", ["plain", "text", "v1", "2"]),
        ("snake_case", ["snake", "case"]),
        ("Zoë Ångström", ["zoe", "angstrom"]),
        (" 你好 好 ", ["你好", "好"]),
        ("がぎ 한국", ["がぎ", "한국"]),
        ("!!", []),
    ],
)
def test_tokens(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@given(st.text(max_size=40))
def test_every_term_has_a_word(query: str) -> None:
    assert all(tokens(term.text) for term in terms(query))
