"""The scenarios by name: each is a coroutine that plays it on a stage and leaves its figures there."""

from collections.abc import Callable, Coroutine

from loadtest.scenarios.fanout import fanout
from loadtest.scenarios.idle import idle
from loadtest.scenarios.storm import storm
from loadtest.stage import Stage

SCENARIOS: dict[str, Callable[[Stage], Coroutine[None, None, None]]] = {
    "idle": idle,
    "fanout": fanout,
    "storm": storm,
}
