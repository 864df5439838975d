"""Which backend is meant by ``cache=redis`` or ``cache=package.module:factory``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.registry import CONCERNS
from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError
from stackproof.targets import STACKS, find_stack, load_object, parse_target, parse_targets
from stackproof.verification.certificate import ServerRecord
from stackproof.verification.digests import backend_digest, tree_digest
from stackproof.verification.run import _fidelity


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, which is not on the path of modules; modules of it are forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "name", "server"),
    [
        ("cache=redis", "cache=redis", "redis"),
        (" Cache = REDIS ", "cache=redis", "redis"),
        ("search=pg", "search=postgres", "postgres"),
        ("interactions=postgresql", "interactions=postgres", "postgres"),
        ("cache=memory", "cache=memory", ""),
        ("cache=my.pkg:Make.it", "cache=my.pkg:Make.it", ""),
    ],
)
def test_a_target_has_one_name(text: str, name: str, server: str) -> None:
    target = parse_target(text)
    assert (target.name, target.server) == (name, server)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cache", "must look like CONCERN=SPEC"),
        ("cache=", "must look like CONCERN=SPEC"),
        ("=redis", "'' is not a concern; known are: interactions"),
        ("cache=nonsense", "--backend cache='nonsense' is not a known backend of cache; known are: redis"),
        ("events=postgres", "is not a known backend of events; known are: redis, kafka"),
    ],
)
def test_what_is_no_target_says_what_would_be(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_target(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["cache=redis://:hunter2@h/0", "redis://:hunter2@h:6379"])
def test_an_address_is_no_target_and_its_password_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
        parse_target(text)
    assert "hunter2" not in str(caught.value)


def test_every_stack_names_a_backend_for_each_concern() -> None:
    for stack in STACKS:
        assert [target.concern for target in find_stack(stack.name.upper()).targets()] == list(CONCERNS)


def test_nothing_given_is_the_development_stack() -> None:
    assert parse_targets(None, []) == find_stack("development").targets()
    assert [target.name for target in parse_targets(None, ["cache=memory", "cache=redis"])] == [
        "cache=memory",
        "cache=redis",
    ]


@pytest.mark.parametrize(
    ("stack", "backends"), [("memory", ["cache=redis"]), (None, ["search=pg", "search=postgres"]), ("nope", [])]
)
def test_what_contradicts_itself_is_refused(stack: str | None, backends: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        parse_targets(stack, backends)


def test_a_factory_is_found_in_the_current_directory(here: Path) -> None:
    (here / "made_here.py").write_text(
        "from stackproof.adapters.cache.memory import MemoryCache\n"
        "class Makers:\n    @staticmethod\n    def make(namespace): return MemoryCache(namespace=namespace)\n"
    )
    target = parse_target("cache=made_here:Makers.make")
    assert isinstance(target.make(Settings({}), "space"), MemoryCache)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "there is no module 'odd_one' here"),
        ("import absent_one", "there is no module 'absent_one' here"),
        ("", "the module odd_one has no 'make'"),
        ("make = 1", "'make' is a int, not a factory"),
        ("def (", "odd_one raised SyntaxError"),
        ("raise SystemExit(3)", "odd_one raised SystemExit: 3"),
        ("raise ValueError('why')", "odd_one raised ValueError: why"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(here: Path, source: str | None, sentence: str) -> None:
    if source is not None:
        (here / "odd_one.py").write_text(source)
    with pytest.raises(ConfigurationError) as caught:
        load_object("cache=odd_one:make", "odd_one:make")
    assert str(caught.value).startswith("cache=odd_one:make cannot be ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


# The digest of what was verified


def test_the_digest_is_of_the_whole_package_and_runs_none_of_it(here: Path) -> None:
    package = here / "digested"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')\n")
    module = package / "inner.py"
    module.write_text("raise RuntimeError('it was imported')\n")
    digest = backend_digest("digested.inner.Cache")
    assert digest == tree_digest(package)
    assert backend_digest("digested.inner.make.<locals>.Cache") == digest
    (package / "deeper").mkdir()
    for beside in (module, package / "core.py", package / "deeper" / "lib.py", package / "fast.cpython-311.so"):
        before = backend_digest("digested.inner.Cache")
        beside.write_text("# changed\n")
        assert backend_digest("digested.inner.Cache") != before, beside


def test_the_digest_of_a_single_file_is_of_it_and_of_the_factory(here: Path) -> None:
    (here / "alone.py").write_text("class Cache: pass\n")
    (here / "factory.py").write_text("from alone import Cache\n")
    assert backend_digest("alone.Cache", "memory") == tree_digest(here / "alone.py")
    assert backend_digest("alone.Cache", "alone:Cache") == tree_digest(here / "alone.py")
    digest = backend_digest("alone.Cache", "factory:make")
    (here / "factory.py").write_text("from alone import Cache as Mine\n")
    assert "" != backend_digest("alone.Cache", "factory:make") != digest
    assert backend_digest("alone.Cache", "gone:make") == ""


def test_a_package_without_an_init_belongs_to_nobody(here: Path) -> None:
    for name in ("mine", "yours"):
        (here / "shared_name" / name).mkdir(parents=True)
        (here / "shared_name" / name / "__init__.py").write_text("")
    assert backend_digest("shared_name.mine.Cache") == tree_digest(here / "shared_name" / "mine") != ""


@pytest.mark.parametrize("backend", ["", "Nameless", "no_such_module_here.Cache", "builtins.object"])
def test_what_has_no_source_has_no_digest(backend: str) -> None:
    assert backend_digest(backend) == ""


def test_our_adapters_share_a_digest() -> None:
    assert (
        backend_digest("stackproof.adapters.cache.memory.MemoryCache")
        == backend_digest("stackproof.adapters.logs.console.ConsoleJsonHandler")
        != ""
    )


def test_a_backend_may_need_further_servers_beside_its_own() -> None:
    assert parse_target("events=kinesis").servers == ("kinesis", "aws")
    assert parse_target("events=redis").servers == ("redis",)
    assert parse_target("events=memory").servers == ()
    assert parse_target("events=package.module:make").servers == ()


@pytest.mark.parametrize(
    ("spec", "server", "technology", "fidelity"),
    [
        ("cache=redis", "redis", "redis", "native"),
        ("cache=elasticache", "redis-cluster", "redis", "native"),
        ("cache=dragonfly", "valkey", "valkey", "compatible-engine"),
        ("cache=dragonfly", "valkey", "redis", "compatible-engine"),
        ("interactions=keyspaces", "cassandra", "cassandra", "compatible-engine"),
        ("interactions=dynamodb", "aws", "", "native"),  # a service of AWS, which its address tells
        ("cache=upstash", "redis-tls", "redis", "compatible-engine"),
        ("interactions=scylla", "cassandra", "cassandra", "compatible-engine"),
        ("interactions=cassandra", "cassandra", "cassandra", "native"),
        ("events=msk", "kafka-iam", "kafka", "compatible-engine"),
        ("cache=memory", "", "", "native"),
    ],
)
def test_a_server_that_stands_in_is_called_so(spec: str, server: str, technology: str, fidelity: str) -> None:
    target = parse_target(spec)
    assert target.server == server
    records = {server: ServerRecord(server, "container", "native", "1", {}, technology)} if server else {}
    assert _fidelity(target, records) == fidelity
