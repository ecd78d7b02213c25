"""Hosts of the tests' own on this machine: network namespaces, each with one link to it. Only root can make them."""

import os
import subprocess
from itertools import count
from types import TracebackType
from typing import Self

_NUMBERS = count()


class Host:
    """A network namespace. `address` is its own, `gateway` this machine's as it sees it.

    Rules of packets are iptables' own, within the namespace: nothing of this machine's changes.
    """

    def __init__(self) -> None:
        number = (os.getpid() * 8 + next(_NUMBERS)) % 16_384
        self.name = f"galaxy-{number}"
        self.link = f"gx{number}"
        network = f"10.231.{number // 64}.{number % 64 * 4}"
        start, _, last = network.rpartition(".")
        self.gateway, self.address = f"{start}.{int(last) + 1}", f"{start}.{int(last) + 2}"

    @property
    def within(self) -> list[str]:
        """The command that runs another one there."""
        return ["ip", "netns", "exec", self.name]

    def __enter__(self) -> Self:
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "outside", "netns", self.name)
        _run("ip", "address", "add", f"{self.gateway}/30", "dev", self.link)
        _run("ip", "link", "set", self.link, "up")
        _run(*self.within, "ip", "address", "add", f"{self.address}/30", "dev", "outside")
        for link in ("lo", "outside"):
            _run(*self.within, "ip", "link", "set", link, "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run("ip", "link", "delete", self.link)
        _run("ip", "netns", "delete", self.name)

    def lose(self, port: int, share: float) -> None:
        """Of the packets to and from a port out there so many are lost: 1.0 is all of them.

        Not by `tc netem`, which not every kernel has.
        """
        chance = [] if share == 1.0 else ["-m", "statistic", "--mode", "random", "--probability", str(share)]
        for chain, side in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            _run(*self.within, "iptables", "-A", chain, "-p", "tcp", side, str(port), *chance, "-j", "DROP")

    def lose_nothing(self) -> int:
        """Returns how many packets were lost."""
        rules = _run(*self.within, "iptables", "-L", "-v", "-x", "-n").splitlines()
        lost = [int(words[0]) for rule in rules if (words := rule.split())[2:3] == ["DROP"]]
        _run(*self.within, "iptables", "-F")
        return sum(lost)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
