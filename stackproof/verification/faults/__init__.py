"""How the built-in backends are put behind faults: proxies before their servers, and the variables that lead through them."""

from .http import HttpFaults, HttpWords
from .proxied import SHORT, ProxiedFaults, Way, behind
from .ways import way_to

__all__ = ["SHORT", "HttpFaults", "HttpWords", "ProxiedFaults", "Way", "behind", "way_to"]
