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


def say(due: int, number: int, text: str) -> str:
    """A message of the load: when it was to be sent (nanoseconds of time.monotonic_ns, which all processes of a machine
    share; 0: not to be timed), which one it is, and what it says. `loadtest.stream.due_in` reads the first.
    """
    return f"{due:x} {number} {text}"
