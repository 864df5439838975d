import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from acme_nats import NatsBus
from acme_sqlite import SqliteStore

from stackproof.contracts import EventContract, InteractionContract
from stackproof.contracts.faulty import Faulty
from stackproof.servers.proxy import FaultProxy
from stackproof.verification.faults.proxied import ProxiedFaults


@pytest.fixture(scope="class")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("acme")


class TestSqliteStore(InteractionContract):
    @pytest.fixture(autouse=True)
    def _in_a_directory(self, directory: Path) -> None:
        self.directory = directory

    def make_backend(self, namespace):
        return SqliteStore(self.directory, namespace)


class TestNatsBus(EventContract):
    """In the profile full, a proxy stands before the server, and breaks what is said on the way."""

    def make_backend(self, namespace):
        return NatsBus(os.environ["NATS_URL"], namespace)

    def make_unreachable(self, namespace):
        return NatsBus("nats://127.0.0.1:1", namespace, timeout=1.0)

    def make_faulty(self, namespace):
        address = urlsplit(os.environ["NATS_URL"])
        proxy = FaultProxy(address.hostname, address.port)
        return Faulty(NatsBus(f"nats://127.0.0.1:{proxy.port}", namespace, timeout=1.0), ProxiedFaults(proxy))
