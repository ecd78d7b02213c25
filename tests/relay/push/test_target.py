"""Which URLs are destinations, and which addresses may be reached."""

from ipaddress import ip_address

import pytest

from relay.push.addresses import is_allowed, read_networks
from relay.push.status import delay
from relay.push.target import read_target


def test_a_url_is_taken_apart_and_shown_without_its_key() -> None:
    target = read_target("rtmps://live.example:8443/app/inst/k-e-y?bw=1&auth=x")
    assert (target.secure, target.host, target.port) == (True, "live.example", 8443)
    assert (target.app, target.name) == ("app/inst", "k-e-y?bw=1&auth=x")
    assert target.shown == "rtmps://live.example:8443/app/inst/***"
    assert "k-e-y" not in repr(target)
    assert target.without_secret("no k-e-y here, k-e-y?bw=1&auth=x") == "no *** here, ***"
    assert read_target("rtmp://[2001:db8::1]/app/key").port == 1_935
    assert read_target("rtmps://live.example/app/key").port == 443


@pytest.mark.parametrize(
    "url",
    ["http://a/app/s3cret", "rtmp:///app/s3cret", "rtmp://a/s3cret", "rtmp://u:p@a/app/s3cret", "rtmp://a:x/app/s3cret",
     "rtmp://a\tb c/app/s3cret", "rtmp://[::1/app/s3cret", "rtmp://a/app/s3cret#x", "",
     "rtmp://a..b/app/s3cret", "rtmp://.a/app/s3cret", f"rtmp://{'a' * 64}.b/app/s3cret"],
)  # fmt: skip
def test_other_urls_are_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_target(url)
    assert "s3cret" not in str(refused.value)


PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
    "2001:db8::1", "::ffff:10.1.2.3", "::ffff:127.0.0.1", "64:ff9b::a01:203", "2002:a01:203::1", "::10.1.2.3",
)  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_special_addresses_are_not_allowed(text: str) -> None:
    assert not is_allowed(ip_address(text), ())


@pytest.mark.parametrize("text", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_are(text: str) -> None:
    assert is_allowed(ip_address(text), ())


def test_the_operator_may_allow_networks() -> None:
    networks = read_networks(["10.1.0.0/16", "fc00::/7"])
    assert all(is_allowed(ip_address(text), networks) for text in ("10.1.2.3", "::ffff:10.1.2.3", "fc00::1"))
    assert not is_allowed(ip_address("10.2.0.1"), networks)


def test_attempts_come_less_often_up_to_a_bound() -> None:
    assert [delay(attempt, 5.0, lambda: 1.0) for attempt in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert delay(10**6, 5.0, lambda: 0.5) == 2.5
