import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.gateway.addresses import client_address, is_within, limit_key, parse_address, parse_networks

PROXIES = parse_networks(["10.0.0.0/8", "fd00::/8", "192.0.2.1"])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        pytest.param("9.9.9.9", "1.1.1.1", "9.9.9.9", id="not a proxy, so not believed"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="proxy that names nobody"),
        pytest.param("10.0.0.1", "9.9.9.9", "9.9.9.9", id="one proxy"),
        pytest.param("10.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9", id="what the client wrote is left out"),
        pytest.param("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2,192.0.2.1", "9.9.9.9", id="a chain of proxies"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="proxies only"),
        pytest.param("10.0.0.1", "9.9.9.9, unknown", "10.0.0.1", id="a hop that hides its client"),
        pytest.param("10.0.0.1", "9.9.9.9, x'; --, 10.0.0.2", "10.0.0.2", id="rubbish"),
        pytest.param("10.0.0.1", "9.9.9.9:1234", "9.9.9.9", id="with port"),
        pytest.param("fd00::1", "[2001:db8::1]:443", "2001:db8::1", id="IPv6 with port"),
        pytest.param("fd00::1", " 2001:DB8:0::1 ", "2001:db8::1", id="IPv6 in its normal form"),
        pytest.param("::ffff:10.0.0.1", "::ffff:9.9.9.9", "9.9.9.9", id="IPv4 mapped into IPv6"),
    ],
)
def test_the_client_is_the_right_most_that_is_no_proxy_of_ours(peer: str, forwarded_for: str, client: str) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == client


@given(st.text(), st.ip_addresses().map(str))
def test_nobody_chooses_an_address_from_the_left(forged: str, client: str) -> None:
    if is_within(client, PROXIES):
        return
    expected = parse_address(client)
    assert client_address("10.0.0.1", f"{forged},{client}", PROXIES) == str(expected)


def test_without_proxies_nobody_is_believed() -> None:
    assert client_address("127.0.0.1", "9.9.9.9", ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("9.9.9.9", "9.9.9.9"),
        ("::ffff:9.9.9.9", "9.9.9.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_customer_is_one_address(address: str, key: str) -> None:
    assert limit_key(address) == key


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33", ""])
def test_what_is_no_network_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="not an address or CIDR block") as refusal:
        parse_networks(["10.0.0.0/8", entry])
    assert repr(entry) in str(refusal.value)
