"""The pure parts of the containers: settings in YAML, archives, options, what a log says."""

from __future__ import annotations

import pytest

from stackproof.servers import ServerError
from stackproof.servers.containers.container import _name_and_tag, _telling_line, _with_way_out
from stackproof.servers.containers.cql_wire import _rows
from stackproof.servers.containers.kafka import _variable, version_in
from stackproof.servers.containers.kinds import CONTAINERS
from stackproof.servers.containers.options import ContainerOptions
from stackproof.servers.containers.recipe import archive, unpacked
from stackproof.servers.containers.yaml_text import with_settings

YAML = """\
# of the image
cluster_name: 'Test'
commitlog_sync: periodic
commitlog_sync_period: 10000ms
# client options
client_encryption_options:
  enabled: false
  # keystore: conf/.keystore
seed_provider:
- class_name: Simple
  parameters:
    - seeds: "127.0.0.1"

storage_port: 7000
"""


def test_settings_are_replaced_with_all_that_is_below_them() -> None:
    changes = {
        "commitlog_sync": "batch",
        "commitlog_sync_period": None,
        "client_encryption_options": "\n  enabled: true",
    }
    assert with_settings(YAML, changes) == (
        "# of the image\ncluster_name: 'Test'\n# client options\nseed_provider:\n- class_name: Simple\n"
        '  parameters:\n    - seeds: "127.0.0.1"\n\nstorage_port: 7000\n'
        "commitlog_sync: batch\nclient_encryption_options: \n  enabled: true\n"
    )
    assert with_settings(YAML, {}) == YAML
    assert "class_name" not in with_settings(YAML, {"seed_provider": None})


def test_a_file_goes_into_an_archive_and_comes_out() -> None:
    assert unpacked([archive({"/etc/a": b"text\n"})]) == "text\n"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("redis", ("redis", "latest")),
        ("redis:8", ("redis", "8")),
        ("host:5000/redis", ("host:5000/redis", "latest")),
        ("host:5000/a/redis:8.1", ("host:5000/a/redis", "8.1")),
    ],
)
def test_an_image_is_pulled_in_one_version(image: str, expected: tuple[str, str]) -> None:
    assert _name_and_tag(image) == expected


def test_the_line_that_says_why_is_found() -> None:
    assert _telling_line("begin\nERROR no space left.\nend\n") == "ERROR no space left"
    assert _telling_line("FATAL gone\nbind: Address already in use\n") == "bind: Address already in use"
    assert _telling_line("begin\nend.\n") == "end"
    assert _telling_line("") == ""


def test_a_setting_of_kafka_is_named_as_its_image_reads_it() -> None:
    assert _variable("log.dirs") == "KAFKA_LOG_DIRS"
    assert _variable("listener.name.a.scram-sha-512.x_y") == "KAFKA_LISTENER_NAME_A_SCRAM___SHA___512_X__Y"


def test_rows_of_cassandra_are_read() -> None:
    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    def cell(value: str) -> bytes:
        return len(value).to_bytes(4, "big") + value.encode()

    head = b"\0\0\0\2" + b"\0\0\0\1" + b"\0\0\0\2" + text("keyspace") + text("table")
    columns = text("name") + b"\0\x0d" + text("value") + b"\0\x0d"
    rows = b"\0\0\0\2" + cell("a") + cell("1") + cell("b") + b"\xff\xff\xff\xff"
    assert _rows(head + columns + rows) == [("a", "1"), ("b", "")]


def test_what_the_environment_says_is_read() -> None:
    options = ContainerOptions.from_environment(
        {"STACKPROOF_IMAGE_KAFKA": "mine:1", "STACKPROOF_CONTAINER_MEMORY": "2g", "STACKPROOF_CONTAINER_CPUS": " 1.5 "}
    )
    assert options.limits() == {"mem_limit": 2**31, "memswap_limit": 2**31, "nano_cpus": 1_500_000_000}
    assert options.heap() == 512
    for name in ("kafka", "kafka-sasl", "kafka-iam"):
        assert CONTAINERS[name](options=options).image == "mine:1"
    assert CONTAINERS["kafka-iam"](options=ContainerOptions()).image == "stackproof/kafka:latest"


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_container_that_was_not_started_says_so(name: str) -> None:
    it = CONTAINERS[name](options=ContainerOptions())
    for asked in (it.variables, it.version, it.kill, it.restart, it.pause):
        with pytest.raises(ServerError, match="has not been started"):
            asked()
    it.stop()


def test_where_docker_has_no_addresses_left_the_way_out_is_told() -> None:
    said = "Docker could not make a network: could not find an available, non-overlapping IPv4 address pool."
    told = str(_with_way_out(ServerError(said)))
    assert told.startswith(said[:-1])
    assert "docker network prune" in told
    assert "STACKPROOF_CONTAINER_NETWORK=host" in told


def test_another_refusal_of_a_network_stays_as_docker_words_it() -> None:
    error = ServerError("Docker could not make a network: permission denied.")
    assert _with_way_out(error) is error


def test_the_version_of_kafka_is_read_where_its_image_tells_it() -> None:
    assert version_in(["jose4j-0.9.4.jar", "kafka-clients-4.1.0.jar", "kafka-raft-4.1.0.jar"]) == "4.1.0"
    assert version_in(["jose4j-0.9.4.jar"]) is None
