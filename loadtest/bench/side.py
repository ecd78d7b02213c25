"""One server of a comparison and its subscribers, in a process of their own.

Each side has its own because the subscribers of two servers together are more open files than a process may have.
"""

import multiprocessing
from pathlib import Path
from typing import Any

from loadtest.bench.driver import serve
from loadtest.bench.timing import Figure
from loadtest.peers.peer import Failed


class Side:
    """Runs within a `with`. `server` is a name of `loadtest.peers.SERVERS`. All methods raise Failed."""

    def __init__(self, server: str, codec: str, installed: Path, scratch: Path):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, server, codec, installed, scratch))
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join()

    def open(self, subscribers: int, each: int = 0) -> None:
        """See `Driver.open`."""
        self._ask("open", subscribers, each)

    def texts(self, characters: int) -> None:
        """See `Driver.texts`."""
        self._ask("texts", characters)

    def verify(self, window: int) -> None:
        """See `Driver.verify`."""
        self._ask("verify", window)

    def measure(self, window: int, warm_up: float, seconds: float) -> Figure:
        """Seconds of `warm_up` are not counted."""
        figure: Figure = self._ask("measure", window, warm_up, seconds)
        return figure

    def _ask(self, *what: Any) -> Any:
        try:
            self._pipe.send(what)
            answer = self._pipe.recv()
        except (EOFError, BrokenPipeError):
            raise Failed(f"the process that drives a server ended at {what}") from None
        if isinstance(answer, Failed):
            raise answer
        return answer
