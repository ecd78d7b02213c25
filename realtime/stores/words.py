"""What the full-text index holds of a text, and what a query asks of it.

The index's tokenizer (FTS5 `unicode61`) finds words by spaces, which Chinese, Japanese and Korean do without. A run of
their characters becomes its overlapping pairs and its last character alone, `你好吗` → `你好 好吗 吗`: so any two
neighbours are found as a word, longer stretches as a phrase, and one character as the beginning of a pair.
"""

import re
import unicodedata

_CJK = re.compile(
    "[\u3005\u3007\u3041-\u3096\u309d\u309e\u30a1-\u30fa\u30fc-\u30fe\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _spread(match: re.Match[str]) -> str:
    run = match.group()
    return " ".join(("", *_pairs(run), run[-1], ""))


def indexed(text: str) -> str:
    """The text as it is given to the index."""
    if text.isascii():
        return text
    return _CJK.sub(_spread, unicodedata.normalize("NFKC", text))


def match(query: str) -> str:
    """An FTS5 expression that every word of `query` must meet, the last one with its beginning; none of it is read as
    FTS5's own syntax.
    """
    terms: list[str] = []
    for word in unicodedata.normalize("NFKC", query).replace("\0", " ").split():
        start = 0
        for run in _CJK.finditer(word):
            terms += _phrase(word[start : run.start()])
            pairs = _pairs(run.group())
            terms.append(f'"{" ".join(pairs)}"' if pairs else f'"{run.group()}"*')
            start = run.end()
        terms += _phrase(word[start:])
    if terms and not terms[-1].endswith("*"):
        terms[-1] += "*"
    return " ".join(terms)


def _phrase(word: str) -> list[str]:
    """Signs alone are no words: the index does not hold them."""
    quoted = word.replace('"', '""')
    return [f'"{quoted}"'] if any(map(str.isalnum, word)) else []
