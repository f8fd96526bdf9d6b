"""Whose a request is: a login, else an open page or a program, known by a session and an address.

A session costs nothing: a program may take a new one for each request. So all users of one address
are one house, and houses take turns before their users do. A user is a string, `house/name`, or a
name alone whose house is its own. This module knows neither page nor queue.
"""

import ipaddress
from urllib.parse import quote

IPV6_HOUSE = 64  # bits of an address; the others belong to one network, which changes them at will


def user(login: str = "", session: str = "", address: str = "") -> str:
    """The name under which limits are counted; "" where nothing is known."""
    if login:
        return _plain(login)
    house = house_at(address)
    return f"{house}/{_plain(session)}" if house else _plain(session)


def house_of(user: str) -> str:
    """The house in which a user lives."""
    return user.partition("/")[0]


def house_at(address: str) -> str:
    """What stands for the network of `address`; "" for this machine: it is a proxy, or the host."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, ipaddress.IPv6Address):
        known = known.ipv4_mapped or known
    if known.is_loopback:
        return ""
    if isinstance(known, ipaddress.IPv6Address):
        known = ipaddress.IPv6Network((int(known), IPV6_HOUSE), strict=False).network_address
    return str(known)


def _plain(name: str) -> str:
    """A name that is no address and has no slash in it."""
    return quote(name, safe="").replace(".", "%2E")
