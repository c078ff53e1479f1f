"""Which addresses handlers may reach: those on the internet, unless a setting allows the others."""

from __future__ import annotations

import errno
import ipaddress

# What `ipaddress` calls global, or fails to unwrap, but must not be reached all the same.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")  # all that is routed on the internet; everything else is refused
_REFUSED_V6 = tuple(
    ipaddress.ip_network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")  # Teredo and specials, docs, 6to4, docs
)


class AddressRefused(OSError):
    """Raised where a connection is made, where only OSError is understood."""

    @classmethod
    def of(cls, address: str) -> AddressRefused:
        """The refusal of that address."""
        return cls(errno.EACCES, f"{address} is not a public address")


def is_public(address: str) -> bool:
    """Whether an address is on the internet. ``ipaddress.is_global`` is not that question."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _REFUSED)
    return ip in _PUBLIC_V6 and not any(ip in network for network in _REFUSED_V6)
