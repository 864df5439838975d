"""The Compose file of `examples/distributed` is consistent: its services find each other, and its commands can be typed.

Containers are not started here: that two workers which know only the master's address offer one schedule is shown by
`test_bench.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml
from documents import REHEARSAL, ROOT
from test_measuring_pages import asked

from stackproof.adapters.postgres_tls import protected
from stackproof.adapters.settings import Settings
from stackproof.cli import cli
from stackproof.commands.bench import NEEDED
from stackproof.commands.bench_run import load_of
from stackproof.commands.options import address
from stackproof.scenarios.catalogue import find_scenario
from stackproof.servers.external import ExternalServer
from stackproof.targets import find_stack

HERE = REHEARSAL.parent
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def compose(**variables: str) -> dict[str, Any]:
    """The Compose file, its variables replaced as Compose does it."""
    text = (HERE / "compose.yaml").read_text(encoding="utf-8")
    text = _VARIABLE.sub(lambda found: variables.get(found[1]) or found[2], text)
    assert "${" not in text, "a variable without a default"
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def troubles(data: dict[str, Any]) -> Iterator[str]:
    """What keeps the services from working together; nothing where all is well."""
    services = data["services"]
    bench, worker = services["bench"], services["worker"]
    load = load_of(asked(options_of(bench, "bench")))
    command = cli.get_command(click.Context(cli), "worker")
    assert command is not None
    master = address("--master", command.make_context("worker", options_of(worker, "worker")).params["master"])
    if services.get(master[0]) is not bench:
        yield f"workers look for {master[0]}, which is not the master"
    if load.bind is None or load.bind != ("0.0.0.0", master[1]):
        yield f"the master waits at {load.bind}, which no other container reaches at {master[1]}"
    if load.workers != int(worker["deploy"]["replicas"]):
        yield f"the master waits for {load.workers} workers, and there are {worker['deploy']['replicas']}"
    if load.origin != "external":
        yield "the master would start servers of its own"
    if bench["environment"] != worker["environment"] or bench["image"] != worker["image"]:
        yield "master and workers have different variables or images"
    yield from troubles_with_servers(services, load.stack, find_scenario(load.scenario, load.settings).concerns)


def options_of(service: dict[str, Any], name: str) -> list[str]:
    first, *options = service["command"]
    assert first == name
    return [str(option) for option in options]


def troubles_with_servers(services: dict[str, Any], stack: str, concerns: tuple[str, ...]) -> Iterator[str]:
    environ = services["bench"]["environment"]
    needed = {target.server for target in find_stack(stack).targets() if target.concern in concerns and target.server}
    for name in needed:
        urls = ExternalServer(name, environ).variables().values()
        if not urls:
            yield f"no variable says where {name} is"
        for url in urls:
            host = urlsplit(url).hostname or ""
            if "image" not in services.get(host, {}):
                yield f"{name} is looked for at {host}, which is no service"
            elif services["bench"]["depends_on"].get(host) != {"condition": "service_healthy"}:
                yield f"the master does not wait for {host}"
            elif "healthcheck" not in services[host]:
                yield f"{host} never becomes healthy"


@pytest.mark.parametrize("variables", [{}, {"WORKERS": "5", "SCENARIO": "ingest", "RATE": "50", "DURATION": "2.5"}])
def test_the_services_find_each_other_and_their_commands_can_be_typed(variables: dict[str, str]) -> None:
    assert list(troubles(compose(**variables))) == []


def _another_master(data: dict[str, Any]) -> None:
    data["services"]["worker"]["command"][1] = "--master=redis:5557"


def _another_port(data: dict[str, Any]) -> None:
    data["services"]["worker"]["command"][1] = "--master=bench:5558"


def _more_workers(data: dict[str, Any]) -> None:
    data["services"]["worker"]["deploy"]["replicas"] = 3


def _another_server(data: dict[str, Any]) -> None:
    data["services"]["bench"]["environment"]["REDIS_URL"] = (
        "redis://localhost:6379"  # both services have the same mapping
    )


def _another_variable(data: dict[str, Any]) -> None:
    environment = data["services"]["bench"]["environment"]
    environment["DATABASE_ADDRESS"] = environment.pop("DATABASE_URL")


def _not_waited_for(data: dict[str, Any]) -> None:
    data["services"]["bench"]["depends_on"]["postgres"] = {"condition": "service_started"}


@pytest.mark.parametrize(
    "spoil", [_another_master, _another_port, _more_workers, _another_server, _another_variable, _not_waited_for]
)
def test_what_does_not_fit_together_is_seen(spoil: Callable[[dict[str, Any]], None]) -> None:
    data = compose()
    spoil(data)
    assert list(troubles(data))


def test_the_password_is_that_of_the_server_and_no_tls_is_expected_of_it() -> None:
    services = compose(POSTGRES_PASSWORD="another")["services"]
    environ = services["bench"]["environment"]
    assert urlsplit(environ["DATABASE_URL"]).password == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert "sslmode=disable" in protected(Settings(environ)), "an image of a registry has no certificate"


def test_every_variable_has_a_row() -> None:
    read = {name for name, _ in _VARIABLE.findall((HERE / "compose.yaml").read_text(encoding="utf-8"))}
    text = REHEARSAL.read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert read == {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_image_is_made_of_what_is_there() -> None:
    text = (HERE / "Dockerfile").read_text(encoding="utf-8")
    sources = [word for words in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in words.split()]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {project["project"]["readme"], *project["project"]["license-files"]} <= set(sources)
    arguments = compose()["services"]["bench"]["build"]["args"]
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE):
        assert arguments[name] == value, "Dockerfile and Compose file agree about defaults"
    extras = set(arguments["EXTRAS"].split(","))
    assert extras <= set(project["project"]["optional-dependencies"])
    assert set(NEEDED.values()) <= extras
    context = (HERE / compose()["services"]["bench"]["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / compose()["services"]["bench"]["build"]["dockerfile"]).is_file()
