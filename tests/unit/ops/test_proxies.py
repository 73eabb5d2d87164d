"""The client behind trusted proxies is read from their headers; other peers are not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.ops.proxies import UNIX, Client, Proxies

TRUSTED = ("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32", UNIX)
DIRECT = Client("127.0.0.1", False, "inner:3000")


def seen(
    fields: dict[str, str], peer: str | None = "127.0.0.1", trusted: tuple[str, ...] = TRUSTED
) -> Client:
    """Whom the server sees in a request without TLS to ``inner:3000``."""
    folded = {name.lower(): value for name, value in fields.items()}
    return Proxies(trusted).client(peer, False, "inner:3000", lambda name: folded.get(name, ""))


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.1.2.3,10.0.0.1", "203.0.113.9"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:0db9::0001", "2001:db9::1"),
        ("[2001:db9::1]:4711, 2001:db8::5", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9"),
        ("", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("203.0.113.9, nonsense", "127.0.0.1"),
        ("203.0.113.9, nonsense, 10.0.0.7", "10.0.0.7"),
        ("203.0.113.9,", "127.0.0.1"),
        ("203.0.113.9 10.0.0.1", "127.0.0.1"),
        ("1.2.3.4.5", "127.0.0.1"),
        ("256.1.1.1", "127.0.0.1"),
        ("[::1", "127.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy_s(
    forwarded_for: str, address: str
) -> None:
    assert seen({"X-Forwarded-For": forwarded_for}).address == address


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ({"X-Forwarded-Proto": "https"}, Client("127.0.0.1", True, "inner:3000")),
        ({"X-Forwarded-Proto": "WSS"}, Client("127.0.0.1", True, "inner:3000")),
        ({"X-Forwarded-Proto": "gopher"}, DIRECT),
        ({"X-Forwarded-Host": "music.example"}, Client("127.0.0.1", False, "music.example")),
        ({"X-Forwarded-Host": "[::1]:8443"}, Client("127.0.0.1", False, "[::1]:8443")),
        ({"X-Forwarded-Host": "a b"}, DIRECT),
        ({"X-Forwarded-Host": "music.example/path"}, DIRECT),
        (
            {
                "X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.0.0.1",
                "X-Forwarded-Proto": "http, https, http",
                "X-Forwarded-Host": "evil.example, music.example, inner",
            },
            Client("203.0.113.9", True, "music.example"),
        ),
        (
            {"X-Forwarded-For": "203.0.113.9, 10.0.0.1", "X-Forwarded-Proto": "https"},
            Client("203.0.113.9", True, "inner:3000"),
        ),
    ],
)
def test_scheme_and_host_are_those_that_the_outermost_trusted_proxy_saw(
    fields: dict[str, str], client: Client
) -> None:
    assert seen(fields) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("for=203.0.113.9", Client("203.0.113.9", False, "inner:3000")),
        (
            'for=6.6.6.6, FOR="[2001:db9::1]:47011"; Proto=https;host="music.example:8443"',
            Client("2001:db9::1", True, "music.example:8443"),
        ),
        (
            "for=203.0.113.9;proto=https;by=10.0.0.9, for=10.0.0.9;proto=http",
            Client("203.0.113.9", True, "inner:3000"),
        ),
        ('for="_hidden";proto=https', Client("127.0.0.1", True, "inner:3000")),
        ('for=", for=203.0.113.9', Client("203.0.113.9", False, "inner:3000")),
        ("for=203.0.113.9;for=6.6.6.6", DIRECT),
        ("for", DIRECT),
        (";;;", DIRECT),
    ],
)
def test_forwarded_is_parsed_like_the_x_forwarded_headers(forwarded: str, client: Client) -> None:
    assert seen({"Forwarded": forwarded}) == client


def test_forwarded_is_ignored_beside_the_x_forwarded_headers() -> None:
    by_client = {"Forwarded": "for=6.6.6.6;proto=https;host=evil.example"}
    assert seen(by_client | {"X-Forwarded-For": "203.0.113.9"}).address == "203.0.113.9"
    assert seen(by_client | {"X-Forwarded-Proto": "http"}) == DIRECT


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("203.0.113.9", False),
        ("", True),
        ("/run/audio.sock", True),
        (None, False),
    ],
)
def test_a_peer_is_trusted_by_its_address_or_its_unix_socket(
    peer: str | None, is_trusted: bool
) -> None:
    assert Proxies(("10.0.0.0/8", "unix")).trusts(peer) == is_trusted
    assert not Proxies(()).trusts(peer)


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db9::1", "::1", None, ""])
def test_forwarding_headers_of_an_untrusted_peer_are_ignored(peer: str | None) -> None:
    fields = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "music.example",
        "Forwarded": "for=203.0.113.9;proto=https",
    }
    found = seen(fields, peer, ("127.0.0.1/32", "10.0.0.0/8"))
    assert (found.is_tls, found.host) == (False, "inner:3000")
    assert found.address == {None: "unknown", "": UNIX}.get(peer, peer)


@pytest.mark.parametrize("peer", ["10.2.3.4", "::ffff:10.2.3.4", "2001:db8::5", "", "/run/client"])
def test_trusted_proxies_may_be_networks_mapped_addresses_and_unix_sockets(peer: str) -> None:
    assert seen({"X-Forwarded-For": "203.0.113.9"}, peer).address == "203.0.113.9"


def test_an_address_with_a_zone_belongs_to_its_network() -> None:
    fields = {"X-Forwarded-For": "203.0.113.9"}
    assert seen(fields, "fe80::1%eth0", ("fe80::/10",)).address == "203.0.113.9"


_texts = st.text(st.sampled_from('0123456789abf.:[]"%=;, \t\\/_for@é\x00'), max_size=40)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(_texts, st.text(max_size=20))
            for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded")
        },
    ),
    st.one_of(st.none(), _texts, st.sampled_from(["127.0.0.1", "::1", ""])),
)
def test_no_forwarding_header_raises(fields: dict[str, str], peer: str | None) -> None:
    assert " " not in seen(fields, peer).host
