"""The scenarios by name: each is a coroutine that plays it on a stage and leaves its figures there."""

from collections.abc import Callable, Coroutine

from loadtest.scenarios.fanout import fanout
from loadtest.scenarios.groups import groups
from loadtest.scenarios.idle import idle
from loadtest.scenarios.live import live
from loadtest.scenarios.slow import slow
from loadtest.scenarios.soak import soak
from loadtest.scenarios.storm import storm
from loadtest.stage import Stage

SCENARIOS: dict[str, Callable[[Stage], Coroutine[None, None, None]]] = {
    "idle": idle,
    "fanout": fanout,
    "groups": groups,
    "live": live,
    "storm": storm,
    "slow": slow,
    "soak": soak,
}
