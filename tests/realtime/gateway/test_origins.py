"""Which pages may talk to the server."""

import pytest

from realtime.gateway.origins import is_local, origin_allowed


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://a.example", "a.example"), ("https://a.example", "a.example"),
        ("http://a.example:8080", "a.example:8080"),
        ("https://A.Example", "a.eXample:443"), ("http://a.example:80", "a.example"), ("http://[::1]:90", "[::1]:90"),
    ],
)  # fmt: skip
def test_pages_of_the_same_host_may(origin: str, host: str) -> None:
    assert origin_allowed(origin, host, ())


@pytest.mark.parametrize(
    "origin",
    [
        "http://b.example", "http://a.example:81", "https://a.example:80", "null", "", "a.example", "file://",
        "http://a.example.b.example", "http://b.example/a.example", "http://a.example/", "http://x@a.example",
        "http://a.example\n", "ftp://a.example", "http://a.example http://b.example", "http://",
    ],
)  # fmt: skip
def test_other_pages_may_not(origin: str) -> None:
    assert not origin_allowed(origin, "a.example", ())
    assert not origin_allowed(origin, "", ())


def test_a_list_says_all_who_may() -> None:
    allowed = ("https://app.example", "http://other.example:8000")
    assert origin_allowed("https://app.example", "a.example", allowed)
    assert origin_allowed("https://APP.example:443", "a.example", allowed)
    assert origin_allowed("http://other.example:8000", "a.example", allowed)
    assert not origin_allowed("http://app.example", "a.example", allowed)
    assert not origin_allowed("http://other.example", "a.example", allowed)
    assert not origin_allowed("https://a.example", "a.example", allowed)
    assert not origin_allowed("null", "a.example", allowed)


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080"])
def test_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    ["", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2", "::1", "evil@localhost", "localhost:", "x",
     "localhost:80:80", "localhost\n"],
)  # fmt: skip
def test_other_machines(host: str) -> None:
    assert not is_local(host)
