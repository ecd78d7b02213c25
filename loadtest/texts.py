"""What the load says: texts of many different words, as those of people are, the same in every run."""

import random
import string

VOCABULARY = 5_000
TEXTS = 1_000


def texts(characters: int) -> list[str]:
    """So many characters each, made of words of 2 to 10 letters."""
    chance = random.Random(1)  # noqa: S311 - the same in every run, on purpose
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 10))) for _ in range(VOCABULARY)]
    return [" ".join(chance.choices(words, k=characters // 3 + 1))[:characters].rstrip() for _ in range(TEXTS)]
