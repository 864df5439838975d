"""`stackproof servers` and `stackproof doctor`: servers that stay until they are ended, and what a machine can run."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from shared_servers import our_images
from test_servers import until

from stackproof.commands import doctor as doctor_module
from stackproof.commands.doctor import doctor
from stackproof.commands.servers import servers
from stackproof.servers import ServerError
from stackproof.servers import standing as standing_module
from stackproof.servers.containers.engine import opened
from stackproof.servers.containers.labels import started
from stackproof.servers.containers.sweep import sweep_containers
from stackproof.servers.resp import RespConnection
from stackproof.servers.runs import RunDirectory, sweep
from stackproof.servers.standing import Standing, stand_down, standing_runs


@pytest.fixture(autouse=True)
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What stands elsewhere on this machine is not seen, and not ended."""
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents[:3]:
        os.chmod(parent, 0o755)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("stackproof.servers.standing.bases", lambda: [tmp_path])
    yield
    for each in standing_runs():
        stand_down(each)


def typed(*words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "stackproof", *words], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def exported(lines: str) -> dict[str, str]:
    words = [shlex.split(line) for line in lines.splitlines()]
    assert all(first == "export" and len(rest) == 1 for first, *rest in words)
    return dict(word.split("=", 1) for _, word in words)


def listed() -> list[dict[str, object]]:
    result = CliRunner().invoke(servers, ["status", "--json", "-"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)["runs"]  # type: ignore[no-any-return]


def test_a_stack_stands_until_it_is_ended() -> None:
    given = exported(typed("servers", "up", "development"))
    assert (given["INTERACTION_STORE"], given["CACHE_STORE"]) == ("postgres", "redis")
    with psycopg.connect(given["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    (run,) = listed()
    assert run["stack"] == "development"
    assert [each["name"] for each in run["servers"]] == ["postgres", "redis"]  # type: ignore[attr-defined]
    assert "variables" not in run
    assert (run["folder"], given["STACKPROOF_SERVERS"]) == (os.getcwd(), run["run"])
    result = CliRunner().invoke(servers, ["down", "development"])
    assert result.exit_code == 0
    assert f"Ended: {run['run']} (development)." in result.output
    assert listed() == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(given["DATABASE_URL"])


def _stands(run: str, pid: int, since: float, folder: str | None = None) -> Standing:
    where = os.getcwd() if folder is None else folder
    return Standing(run=run, stack="development", origin="embedded", pid=pid, started="then", since=since, folder=where)


def test_servers_that_do_not_end_leave_no_later_ones_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = [_stands("stuck", 1, 1.0), _stands("good", 2, 2.0), _stands("stuck-too", 3, 3.0), _stands("last", 4, 4.0)]
    asked: list[str] = []

    def end(standing: Standing) -> None:
        asked.append(standing.run)
        if "stuck" in standing.run:
            raise ServerError(f"The servers of {standing.run} did not end within 120 s.")

    monkeypatch.setattr(standing_module, "standing_runs", lambda: stand)
    monkeypatch.setattr(standing_module, "stand_down", end)
    result = CliRunner().invoke(servers, ["down"], standalone_mode=False)
    assert asked == ["stuck", "good", "stuck-too", "last"]
    assert result.stdout == "Ended: good (development), last (development).\n"
    assert isinstance(result.exception, ServerError)
    assert str(result.exception) == (
        "The servers of stuck did not end within 120 s. The servers of stuck-too did not end within 120 s."
    )
    told = json.loads(CliRunner().invoke(servers, ["down", "--json", "-"], standalone_mode=False).stdout)
    assert [row["run"] for row in told["runs"]] == ["good", "last"]


@pytest.fixture
def clones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Servers stand of two clones, of a folder that is neither, and of before folders were kept; the runs that are ended."""
    for folder in ("mine/.git", "mine/package/docs", "theirs/.git", "loose/inside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mine" / "package" / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.delenv("STACKPROOF_SERVERS", raising=False)
    folders = {"mine": "mine", "nested": "mine/package/docs", "theirs": "theirs", "loose": "loose"}
    stand = [_stands(run, 1, 1.0, str(tmp_path / folder)) for run, folder in folders.items()]
    stand.append(_stands("old", 1, 2.0, ""))
    ended: list[str] = []
    monkeypatch.setattr(standing_module, "standing_runs", lambda: stand)
    monkeypatch.setattr(standing_module, "stand_down", lambda each: ended.append(each.run))
    yield ended
    monkeypatch.undo()  # before the fixture `private` asks what stands


@pytest.mark.parametrize(
    ("folder", "shell", "words", "ended"),
    [
        ("mine", "", [], ["mine", "nested"]),
        ("mine", "", ["development"], ["mine", "nested"]),
        ("mine/package", "gone theirs", [], ["mine", "nested", "theirs"]),
        ("loose", "", [], ["loose"]),
        ("loose/inside", "", [], []),
        ("mine", "", ["theirs"], ["theirs"]),
        ("mine", "", ["--all"], ["mine", "nested", "theirs", "loose", "old"]),
        ("mine", "", ["--all", "development"], ["mine", "nested", "theirs", "loose", "old"]),
    ],
)
def test_only_what_was_started_here_is_ended(
    clones: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    folder: str,
    shell: str,
    words: list[str],
    ended: list[str],
) -> None:
    monkeypatch.chdir(tmp_path / folder)
    monkeypatch.setenv("STACKPROOF_SERVERS", shell)
    result = CliRunner().invoke(servers, ["down", *words])
    assert (result.exit_code, clones) == (0, ended)


def test_what_is_left_standing_is_told_with_the_command_that_ends_it(
    clones: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = CliRunner().invoke(servers, ["down"])
    assert told.stdout.splitlines() == [
        "Ended: mine (development), nested (development).",
        f"Left standing: theirs (development) of {tmp_path}/theirs, loose (development) of {tmp_path}/loose, "
        "old (development) of a folder that is not known. To end them, too: stackproof servers down --all",
    ]
    told = CliRunner().invoke(servers, ["down", "--json", "-"])
    assert json.loads(told.stdout)["left"] == ["theirs", "loose", "old"]
    assert "To end them, too" in told.stderr
    del clones[:]
    monkeypatch.chdir(tmp_path / "loose" / "inside")
    told = CliRunner().invoke(servers, ["down"])
    assert told.stdout.startswith("No servers stand that were started in this project or shell.\nLeft standing: mine ")
    refused = CliRunner().invoke(servers, ["down", "development"], standalone_mode=False)
    assert "no servers named 'development' were started in this project or shell" in str(refused.exception)
    assert str(refused.exception).endswith("stackproof servers down --all development")
    assert clones == []


@pytest.mark.usefixtures("clones")
def test_one_run_that_is_left_is_ended_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand = [_stands("mine", 1, 1.0), _stands("theirs", 1, 2.0, str(tmp_path / "theirs"))]
    monkeypatch.setattr(standing_module, "standing_runs", lambda: stand)
    told = CliRunner().invoke(servers, ["down"])
    assert told.stdout.endswith("To end it, too: stackproof servers down theirs\n")


@pytest.mark.usefixtures("clones")
def test_all_that_stands_is_listed_with_its_folder(tmp_path: Path) -> None:
    assert [row["folder"] for row in listed()] == [
        *(str(tmp_path / folder) for folder in ("mine", "mine/package/docs", "theirs", "loose")),
        "",
    ]


def test_a_record_of_before_folders_were_kept_is_read_and_one_of_later_too(tmp_path: Path) -> None:
    now = _stands("kept", os.getpid(), 1.0, "")
    record = {**dataclasses.asdict(now), "started": started(os.getpid()), "of_later": True}
    del record["folder"]
    directory = RunDirectory()
    kept = directory.path / "standing.json"
    kept.write_text(json.dumps(record))
    (read,) = standing_runs()
    kept.unlink()  # its process is this one, which is not to be ended
    directory.unlock()
    assert (read.run, read.folder, read.is_from(str(tmp_path), [])) == ("kept", "", False)


def test_a_run_that_ends_while_it_is_listed_is_not_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / f"stackproof-{os.geteuid()}-gone" / "standing.json"
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter([gone]))
    assert standing_runs() == []


def test_a_holder_that_ends_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["then", None])
    monkeypatch.setattr(standing_module, "started", lambda _pid: next(answers))
    with subprocess.Popen(["true"]) as over:
        pass
    stand_down(_stands("over", over.pid, 1.0))


def test_containers_stand_too_and_are_swept_when_their_holder_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in our_images().items():
        monkeypatch.setenv(name, value)
    given = exported(typed("servers", "up", "--backend", "cache=dragonfly"))
    password, _, port = given["REDIS_URL"].removeprefix("redis://:").removesuffix("/0").partition("@127.0.0.1:")
    with RespConnection(int(port), password) as valkey:
        assert valkey.ask("PING") == "PONG"
    (standing,) = standing_runs()
    found = {"label": f"stackproof.run={standing.run}"}
    os.kill(standing.pid, signal.SIGKILL)
    until(lambda: started(standing.pid) != standing.started, "the end of the holder", 30)
    with opened() as docker:
        # The keeper of the containers sweeps, too, at the same time: what is listed may be gone when it is looked at.
        until(
            lambda: _swept() or not docker.client.containers.list(all=True, filters=found, ignore_removed=True),
            "the sweep",
            60,
        )
        until(lambda: not docker.client.networks.list(filters=found), "the end of their network", 20)
    assert listed() == []


def _swept() -> None:
    sweep()
    sweep_containers()


def test_what_cannot_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "No wheel carries" in typed("servers", "up", "enterprise", "--origin", "embedded", code=2)
    assert "nothing of that needs a server" in typed("servers", "up", "memory", code=2)
    assert "'moon' is not a known stack" in typed("servers", "up", "moon", code=2)
    assert "'external' is not one of" in typed("servers", "up", "development", "--origin", "external", code=2)
    assert "no servers stand that are named 'moon'" in typed("servers", "down", "moon", code=2)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    assert "no Docker daemon that answers" in typed("servers", "up", "development", "--origin", "container", code=4)


def checks(*, code: int = 0) -> dict[tuple[str, str], dict[str, object]]:
    result = CliRunner().invoke(doctor, ["--json", "-"], standalone_mode=False)
    assert result.return_value == code
    return {(row["about"], row["name"]): row for row in json.loads(result.output)["checks"]}


def test_the_doctor_says_what_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in our_images().items():
        monkeypatch.setenv(name, value)
    found = checks()
    assert found["stack", "development --origin embedded"]["ok"]
    assert found["stack", "enterprise --origin container"]["ok"]
    assert found["stack", "enterprise --origin embedded"]["todo"] == "use --origin container"
    assert found["docker", "daemon"]["ok"]


def test_the_doctor_has_one_thing_to_do_for_what_cannot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in our_images():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STACKPROOF_IMAGE_KAFKA", "stackproof/no-such-image:1")
    monkeypatch.setenv("STACKPROOF_IMAGE_REDIS", "no-such-image:1")
    found = checks()
    assert found["image", "kafka"]["todo"] == "images/build kafka"
    assert found["image", "redis"]["todo"] == "docker pull no-such-image:1 (or images/build redis)"
    assert not found["stack", "development --origin container"]["ok"]
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.setitem(doctor_module.EXTRAS, "embedded", ("no_such_package",))  # type: ignore[arg-type]
    monkeypatch.setattr(doctor_module, "LEAST_FREE", 2**80)
    found = checks(code=4)
    assert "no Docker daemon" in str(found["docker", "daemon"]["says"])
    assert "images/docker" in str(found["docker", "daemon"]["todo"])
    assert found["stack", "development --origin embedded"]["todo"] == "pip install 'stackproof[embedded]'"
    (space,) = (row for (about, _), row in found.items() if about == "space")
    assert not space["ok"]
    assert "TMPDIR" in str(space["todo"])
