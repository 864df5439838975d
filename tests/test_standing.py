"""`stackproof servers` and `stackproof doctor`: servers that stay until they are ended, and what a machine can run."""

from __future__ import annotations

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
from stackproof.servers.runs import sweep
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
    result = CliRunner().invoke(servers, ["down", "development"])
    assert result.exit_code == 0
    assert f"Ended: {run['run']} (development)." in result.output
    assert listed() == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(given["DATABASE_URL"])


def _stands(run: str, pid: int, since: float) -> Standing:
    return Standing(run=run, stack="development", origin="embedded", pid=pid, started="then", since=since)


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
        until(lambda: _swept() or not docker.client.containers.list(all=True, filters=found), "the sweep", 60)
        assert docker.client.networks.list(filters=found) == []
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
