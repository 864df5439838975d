"""Which verifications a change asks for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import stackproof

from stackproof.adapters.registry import BUILT_IN, BackendEntry
from stackproof.verification import imports
from stackproof.verification.imports import closure
from stackproof.verification.matrix import Places, matrix

ROOT = Path(__file__).parent.parent

EVERY = {f"{entry.concern}={entry.name}" for entry in BUILT_IN if not entry.reference}
KAFKA = {"events=kafka", "events=redpanda", "events=msk"}
REDIS = {"cache=redis", "cache=elasticache", "cache=upstash", "cache=dragonfly", "events=redis"}
CQL = {"interactions=scylla", "interactions=cassandra", "interactions=keyspaces"}


@pytest.mark.parametrize(
    ("changed", "backends"),
    [
        ("stackproof/adapters/redis_client.py", REDIS),
        ("stackproof/adapters/events/kafka_log.py", KAFKA),
        ("stackproof/adapters/cache/local.py", {"cache=local"}),
        ("stackproof/contracts/mutants/logs.py", {"logs=console", "logs=cloudwatch"}),
        ("stackproof/contracts/cache_time.py", {b for b in EVERY if b.startswith("cache=")}),
        ("stackproof/contracts/lifecycle.py", EVERY),
        ("stackproof/contracts/mutants/search_text.py", {"search=postgres", "search=opensearch"}),
        ("./stackproof/adapters/cache/local.py", {"cache=local"}),
        ("stackproof/servers/containers/cassandra.py", CQL),
        ("images/kafka/Dockerfile", KAFKA),
        ("images/build", EVERY),
        ("images/README.md", set()),
        ("stackproof/verification/worker.py", EVERY),
        ("stackproof/adapters/registry.py", EVERY),
        ("stackproof/is_gone_now.py", EVERY),
        ("constraints.txt", EVERY),
        ("docs/index.md", set()),
        ("tests/test_matrix.py", set()),
        ("README.md", set()),
    ],
)
def test_a_change_asks_for_what_it_touches(changed: str, backends: set[str]) -> None:
    jobs = matrix([changed])
    assert {job.backend for job in jobs} == backends
    assert {job.why for job in jobs} <= {changed.removeprefix("./")}


def test_nothing_named_is_everything_on_every_server_that_there_is() -> None:
    jobs = matrix(None)
    assert {job.backend for job in jobs} == EVERY
    assert {(job.origin, job.version) for job in jobs if job.backend == "search=postgres"} == {
        ("embedded", "wheel"),
        ("container", "postgres:17"),
    }
    assert len({(job.backend, job.origin, job.version) for job in jobs}) == len(jobs)


def test_imports_are_followed_without_a_driver() -> None:
    reached = closure("stackproof.adapters.cache.elasticache")
    assert {"stackproof.adapters.cache.redis", "stackproof.adapters.redis_cluster", "stackproof.interfaces"} <= reached
    assert not any(name.startswith("stackproof.contracts") for name in reached)


def test_every_job_has_a_name_that_a_file_can_have() -> None:
    jobs = matrix(None, places=Places(images={"postgres": ["postgres:16", "postgres:17"]}))
    slugs = [job.slug for job in jobs]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", slug) for slug in slugs)
    alike = [replace(BUILT_IN[0], name=name) for name in ("a/b", "a:b", "a-b")]
    assert len({job.slug for job in matrix(None, alike, Places(["embedded"]))}) == 3


def test_versions_are_images_and_the_usual_one_needs_no_setting() -> None:
    places = Places(["container"], {"postgres": ["postgres:16", "postgres:17"]})
    jobs = [job for job in matrix(None, places=places) if job.backend == "search=postgres"]
    assert [(job.version, job.setting) for job in jobs] == [
        ("postgres:16", "STACKPROOF_IMAGE_POSTGRES=postgres:16"),
        ("postgres:17", ""),
    ]
    assert jobs[0].command == (
        "env STACKPROOF_IMAGE_POSTGRES=postgres:16 stackproof verify --backend search=postgres --origin container"
    )
    assert jobs[0].tox("verify").startswith("env STACKPROOF_IMAGE_POSTGRES=postgres:16 tox run -e verify -- --backend")


def test_external_servers_are_verified_where_that_is_asked_for_only() -> None:
    assert not [job for job in matrix(None) if job.origin == "external"]
    jobs = matrix(None, places=Places(["external"]))
    assert {job.backend for job in jobs} == EVERY
    assert {(job.origin, job.version) for job in jobs} == {("external", "")}


# A third party's project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two backends in one package with a part that they share, and one in a module of its own."""
    files = {
        "src/theirs_ab/__init__.py": "",
        "src/theirs_ab/a.py": "from .shared import helper\nfrom theirs_common.wire import frame\ndef make(namespace): ...\n",
        "src/theirs_ab/b.py": "from .shared import helper\ndef make(namespace): ...\n",
        "src/theirs_ab/shared.py": "def helper(): ...\n",
        "src/theirs_ab/plugin.py": "raise RuntimeError('never run')\n",
        "src/theirs_ab/broken.py": "def (:\n",
        "src/theirs_common/__init__.py": "",
        "src/theirs_common/wire.py": "def frame(): ...\n",
        "theirs_c.py": "import json, theirs_ab.broken\ndef make(namespace): ...\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for cached in (imports.modules, imports.closure, imports._imports):
        cached.cache_clear()
    return tmp_path


THEIRS = [BackendEntry("cache", f"theirs_{m}:make", f"theirs_{m}:make") for m in ("ab.a", "ab.b", "c")]
A, B, C = (f"cache={entry.name}" for entry in THEIRS)


@pytest.mark.parametrize(
    ("changed", "backends"),
    [
        ("src/theirs_ab/a.py", {A}),
        ("src/theirs_ab/b.py", {B}),
        ("src/theirs_ab/shared.py", {A, B}),
        ("src/theirs_ab/__init__.py", {A, B, C}),
        ("src/theirs_ab/plugin.py", {A, B, C}),  # nobody's imports explain it, but it is of their package
        ("src/theirs_ab/broken.py", {C}),
        ("src/theirs_ab/data.json", {A, B, C}),
        ("src/theirs_ab/notes.md", {A, B, C}),
        ("src/theirs_common/wire.py", {A}),
        ("theirs_c.py", {C}),
        ("packages/one/src/theirs_ab/b.py", {B}),
        ("pyproject.toml", {A, B, C}),
        ("requirements.txt", {A, B, C}),
        (".github/workflows/stackproof.yml", {A, B, C}),
        ("docs/index.md", set()),
        ("README.md", set()),
        ("LICENSE", set()),
        ("tests/test_contract.py", set()),
    ],
)
def test_a_change_of_a_third_party_asks_for_its_backends(project: Path, changed: str, backends: set[str]) -> None:
    jobs = matrix([changed], THEIRS)
    assert {job.backend for job in jobs} == backends
    assert {(job.origin, job.server, job.version) for job in jobs} <= {("embedded", "", "")}


def test_the_command_finds_what_the_project_offers(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "third_party" / "acme_cache", tmp_path / "acme_cache")
    info = tmp_path / "acme_cache-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-cache\nVersion: 1.0.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[stackproof.adapters]\ncache.acme = acme_cache:SqliteCache\n")
    env = {"PYTHONPATH": str(tmp_path)}
    (tmp_path / "docs").mkdir()
    outputs = stackproof("matrix", "--github", cwd=tmp_path, env=env).stdout
    assert re.fullmatch(r"matrix=\{.*\}\njobs=1\n", outputs)
    (job,) = json.loads(outputs.splitlines()[0].partition("=")[2])["include"]
    assert (job["backend"], job["origin"], job["why"]) == ("cache=acme", "embedded", "everything")
    none = stackproof("matrix", "--changed", "docs/x.md", "--changed", "README.md", "--github", cwd=tmp_path, env=env)
    assert (none.returncode, none.stdout) == (0, 'matrix={"include": []}\njobs=0\n')
    full = str(tmp_path / "acme_cache" / "__init__.py")
    printed = stackproof("matrix", full, "--tox", "verify", cwd=tmp_path, env=env).stdout
    assert printed == "tox run -e verify -- --backend cache=acme --origin embedded\n"
    away = stackproof("matrix", cwd=tmp_path / "docs", env=env).stdout
    assert "cache=redis" in away
    assert "cache=acme" not in away


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["my_cache.py"],
            "the file has nothing to do with a built-in backend, and this directory offers none of its own",
        ),
        (
            ["foo/bar.py", "README.md", "--tox", "verify"],
            "none of the 2 files has anything to do with a built-in backend",
        ),
        (["README.md", "--backend", "cache=my_cache:make"], "the file has nothing to do with a backend."),
    ],
)
def test_where_there_is_nothing_to_verify_a_sentence_says_why(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "my_cache.py").write_text("def make(namespace): ...\n", encoding="utf-8")
    done = stackproof("matrix", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("Nothing to verify: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def git(place: Path, *arguments: str) -> None:
    name = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *arguments], cwd=place, check=True, capture_output=True)


def test_what_changed_since_a_revision(tmp_path: Path) -> None:
    """Committed, not committed, not even known to git, and renamed: then also under the old name."""
    old = tmp_path / "stackproof" / "adapters" / "search"
    old.mkdir(parents=True)
    (old / "opensearch.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (tmp_path / "README.md").write_text("x")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")

    def chosen() -> set[str]:
        done = stackproof("matrix", "--changed-since", "HEAD", "--json", "-", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return {job["backend"] for job in json.loads(done.stdout)["include"]}

    (tmp_path / "README.md").write_text("y")
    assert chosen() == set()
    new = tmp_path / "stackproof" / "adapters" / "cache"
    new.mkdir()
    (new / "local.py").write_text("x")
    assert chosen() == {"cache=local"}
    git(tmp_path, "mv", "stackproof/adapters/search/opensearch.py", "docs_of_it.md")
    assert chosen() == {"cache=local", "search=opensearch"}
    (tmp_path / "stackproof" / "neu\u00eb\n.py").write_text("x")
    assert chosen() == EVERY


def test_the_command(tmp_path: Path) -> None:
    done = stackproof("matrix", "stackproof/adapters/search/opensearch.py", "--json", "-", cwd=tmp_path)
    (job,) = json.loads(done.stdout)["include"]
    assert job["command"] == "stackproof verify --backend search=opensearch --origin container"
    assert "search=opensearch" in stackproof("matrix", cwd=tmp_path).stdout
    for wrong in (
        ["--since", "nonsense"],
        ["--since", "--output=x"],
        ["--since", "HEAD", "a.py"],
        ["--since", "HEAD", "--changed", "a.py"],
        ["--since", ""],
        ["--backend", "cache=unknown"],
        ["--backend", "cache=nowhere.at_all:make"],
        ["--backend", "events=kafka", "--origin", "embedded"],
        ["--image", "postgres"],
        ["--image", "oracle=oracle:23"],
        ["--image", "postgres=$(x)"],
        ["--github", "--tox", "verify"],
        ["--github", "--json", "-"],
        ["/nowhere/else.py"],
    ):
        done = stackproof("matrix", *wrong, cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), (wrong, done.stderr)


def test_named_backends_and_origins_are_all_that_is_listed(tmp_path: Path) -> None:
    def listed(*arguments: str) -> list[tuple[str, str]]:
        done = stackproof("matrix", *arguments, "--json", "-", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return [(job["backend"], job["origin"]) for job in json.loads(done.stdout)["include"]]

    assert listed("--backend", "search=pg") == [("search=postgres", "embedded"), ("search=postgres", "container")]
    assert listed("--backend", "search=pg", "--origin", "container") == [("search=postgres", "container")]
    assert listed("--backend", "search=pg", "stackproof/adapters/cache/local.py") == []
    assert listed("--backend", "cache=memory", "--origin", "external") == [("cache=memory", "external")]
