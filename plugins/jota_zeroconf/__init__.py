"""Services on the LAN by multicast DNS and DNS-SD (RFC 6762, 6763)."""

from .plugin import JotaZeroconf

__all__ = ["JotaZeroconf"]
