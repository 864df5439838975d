"""`stackproof bench` as a whole: the Locust process, the gate, the command, the page."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import jsonschema
import psutil
import pytest
from bench_samples import GAP, MEMORY, certificate, judged, keep_certificate, recorded, with_first
from faulty_after_load import BACKLOG

import stackproof.commands.bench_gate as gate
from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.settings import Settings
from stackproof.commands.bench_workers import machines_of
from stackproof.contracts.verdicts import Verdict
from stackproof.exits import Exit
from stackproof.interfaces import CacheValue, ConfigurationError
from stackproof.measurement.environment import read_environment
from stackproof.measurement.judgement import window_of
from stackproof.measurement.record import Measurement
from stackproof.reports.measurement import render
from stackproof.scenarios.alone import Alone
from stackproof.scenarios.catalogue import DECISION
from stackproof.scenarios.orders import NULL, STUB, Offered, Order, Setup
from stackproof.scenarios.recorder import OUTCOMES
from stackproof.scenarios.session import GeneratorError, Session
from stackproof.scenarios.steps.interactions import Impressions
from stackproof.scenarios.stub import Injection, Truth
from stackproof.scenarios.work import StepFailedError, Work
from stackproof.servers.ports import free_port
from stackproof.targets import parse_target
from stackproof.verification.digests import suite_digest

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "stackproof/measurement/measurement.schema.json").read_text(encoding="utf-8"))
STALLING = {**MEMORY, "cache": "examples.stalling_cache:make_stalling"}

SETUP = Setup("decision", MEMORY, "bench-test", seed=1)
SHORT = Order(100.0, 1.0, 0.2, seed=1, drain=5.0)


STARVED = ("event loop was blocked", "the machine withheld the processor", "Self-check: ")
"""What a run says of itself on a machine that gives it no time now and then."""


def silent(_state: Mapping[str, Any]) -> None:
    """An observer that looks away."""


def shown_by(alone: Alone) -> tuple[Offered, Truth]:
    """A short window of one worker on the stub server of its own machine."""
    alone.inject(Injection(0.002))
    return alone.offer(Order(80.0, 0.5, in_flight=64, target=STUB)), alone.truth()


def offer(
    setup: Setup, variables: Mapping[str, str], directory: Path, *orders: Order, workers: int = 1
) -> list[Offered]:
    """Offer windows in a session of their own, which removes all it stored."""
    with Session(setup, variables, directory, silent, workers=workers) as session:
        session.connect()
        offered = [session.offer(order) for order in orders]
    assert session.left_behind == ()
    return offered


def wait_for(condition: Callable[[], bool], within: float) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def descendants(pid: int, name: str) -> list[psutil.Process]:
    """The processes of such a name below one, without those that end meanwhile."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if name in child.name():
                found.append(child)
    return found


def generators_of(pid: int) -> list[psutil.Process]:
    """The load-generating processes that a process has started."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(
            psutil.NoSuchProcess
        ):  # one has just ended, or is a zombie: it hides none of the others
            if "locustfile.py" in " ".join(child.cmdline()):
                found.append(child)
    return found


class TestStall:
    """A second in which nothing is answered must be seen, and must be blamed on whoever it was."""

    SETUP = replace(SETUP, backends=STALLING)
    ORDER = replace(SHORT, rate=200.0, seconds=3.5)
    STALL: Mapping[str, str] = {"STALL_AT_CALL": "500", "STALL_SECONDS": "0.6"}

    def test_a_stall_of_the_server_shows_and_is_not_blamed_on_the_client(self, tmp_path: Path) -> None:
        [window] = offer(self.SETUP, self.STALL, tmp_path, self.ORDER)
        recorder = window.recorder
        p99 = recorder.intended.percentile(99.0)
        assert p99 is not None
        assert p99 > 0.3
        assert recorder.offered == 700
        assert recorder.dropped >= 20, "64 places do not last for the 120 arrivals of the stall"
        assert recorder.adds_up
        assert all(gap.seconds < 0.4 for gap in window.gaps), "the loop was free while the server stalled"

    def test_a_stall_of_the_client_shows_and_makes_the_run_invalid(self, tmp_path: Path) -> None:
        [window] = offer(self.SETUP, {**self.STALL, "STALL_BLOCKS": "1"}, tmp_path, self.ORDER)
        recorder = window.recorder
        intended, real = recorder.intended.percentile(99.0), recorder.real.percentile(99.0)
        assert intended is not None
        assert real is not None
        assert intended > 0.3, "what was due during the stall was late"
        assert real < intended / 2, "a clock that starts with the sending does not see it"
        longest = max(window.gaps, key=lambda gap: gap.seconds)
        assert longest.seconds > 0.5
        assert longest.step == "cache read (StallingCache)"
        assert recorder.adds_up


class TestWindows:
    def test_a_session_offers_any_number_of_windows_and_none_shares_operations_with_another(
        self, tmp_path: Path
    ) -> None:
        null, first, second = offer(SETUP, {}, tmp_path, replace(SHORT, target=NULL), SHORT, SHORT)
        assert (null.locust, null.recorder.answered) == ({"requests": 0, "failures": 0}, 100)
        assert first.recorder.ok == second.recorder.ok == 100
        assert first.locust == second.locust == {"requests": 120, "failures": 0}
        # Event ids that had been used before would be counted once only, which the check of summaries would tell.
        assert first.checks["wrong"] == second.checks["wrong"] == 0
        assert second.checks["counts"]["cache reads"] == 240

    def test_in_a_closed_loop_nothing_is_dropped_and_callers_never_overtake_their_answers(self, tmp_path: Path) -> None:
        [window] = offer(SETUP, {}, tmp_path, replace(SHORT, arrivals="closed", rate=0.0, in_flight=3))
        assert window.recorder.dropped == 0
        assert window.recorder.adds_up
        assert window.most_in_flight == 3
        assert window.recorder.ok > 50

    def test_what_ends_after_the_latency_limit_is_late_and_still_counts_as_answered(self, tmp_path: Path) -> None:
        [window] = offer(SETUP, {}, tmp_path, replace(SHORT, limit=1e-6))
        assert (window.recorder.ok, window.recorder.late) == (0, 100)
        assert window.recorder.adds_up
        assert window.recorder.intended.count == 100

    def test_workers_share_one_schedule_and_their_histograms_are_merged(self, tmp_path: Path) -> None:
        [window] = offer(SETUP, {}, tmp_path, replace(SHORT, rate=101.0, in_flight=7), workers=2)
        recorder = window.recorder
        assert (window.workers, window.complete) == (2, True)
        assert recorder.offered == 101
        assert recorder.adds_up
        assert recorder.intended.count == recorder.answered
        assert [window.checks[kind] for kind in ("wrong", "lost", "duplicated")] == [0, 0, 0], window.checks
        assert window.locust["requests"] == recorder.answered + recorder.failed + sum(
            window.warmup[name] for name in ("ok", "late", "failed")
        )

    def test_workers_of_other_machines_know_nothing_but_the_masters_address(self, tmp_path: Path) -> None:
        """As on several machines: they are started by hand, with variables of their own."""
        port = free_port()
        command = [sys.executable, "-m", "stackproof", "worker", "--master", f"127.0.0.1:{port}"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        with ExitStack() as stack:
            workers = []
            for _ in range(2):
                process = stack.enter_context(subprocess.Popen(command, cwd=tmp_path, env=environ))
                stack.callback(process.kill)
                workers.append(process)
            with Session(SETUP, {}, tmp_path, silent, workers=2, bind=("127.0.0.1", port)) as session:
                machines = machines_of(session.introduced, SETUP.engine)
                with pytest.raises(ConfigurationError, match="was started without --native"):
                    machines_of(session.introduced, "native")
                seen = [shown_by(alone) for alone in session.each()]
                session.connect()
                window = session.offer(SHORT)
            assert [machine.environment.cores for machine in machines] == [read_environment().cores] * 2
            for offered_alone, truth in seen:
                assert (offered_alone.workers, offered_alone.complete) == (1, True)
                assert (offered_alone.recorder.ok, truth.answers, truth.troubles) == (40, 40, ())
                assert offered_alone.recorder.intended.percentiles([50.0])[50.0] >= 0.00199
            assert (window.workers, window.complete, window.recorder.offered) == (2, True, 100)
            assert session.left_behind == ()
            assert [process.wait(timeout=30) for process in workers] == [Exit.HOLDS, Exit.HOLDS]

    def test_a_server_that_is_killed_fails_what_follows_and_the_window_is_kept(self, tmp_path: Path) -> None:
        pytest.importorskip("redis")
        from stackproof.servers.sets import servers_for

        killed: list[int] = []

        def kill_the_server(state: Mapping[str, Any]) -> None:
            if state.get("seconds", -1.0) > 0 and state["target"] == "backends" and not killed:
                mine = descendants(os.getpid(), "redis-server")
                server = max(mine, key=lambda child: child.create_time())  # other tests of this process have theirs
                server.kill()
                killed.append(server.pid)

        setup = Setup("cache-hot", {"cache": "redis"}, "bench-test", seed=1, settings={"keys": 100})
        with (
            servers_for(["redis"], "embedded", os.environ) as servers,
            Session(setup, servers.variables(), tmp_path, kill_the_server) as session,
        ):
            session.connect()
            window = session.offer(replace(SHORT, seconds=3.0))
        assert killed
        recorder = window.recorder
        assert recorder.adds_up
        assert recorder.ok > 0
        assert recorder.failed > 50
        assert all("UnavailableError" in kind or "TimeoutError" in kind for kind in recorder.errors), recorder.errors
        assert window_of("measured", window).limiter == "error"
        assert session.left_behind, "what it stored could not be removed, and that is said"

    def test_a_store_that_answers_nothing_after_the_load_leaves_the_window_as_it_was(self, tmp_path: Path) -> None:
        setup = replace(SETUP, scenario="ingest", backends={"interactions": "tests.faulty_after_load:make_unreadable"})
        windows = offer(setup, {}, tmp_path, SHORT, SHORT)
        for window in windows:
            assert (window.recorder.ok, window.complete, window.trouble) == (100, True, "")
            assert window.checks["unchecked"] == ["after record event: UnavailableError: the server is gone"]
            [said] = window_of("measured", window).invalid
            assert "after record event: UnavailableError" in said

    @pytest.mark.parametrize(
        ("scenario", "pause", "changes"),
        [
            ("end-to-end", 0.5, {"seconds": 60.0, "drain": 15.0}),  # operations hang that are in flight
            ("end-to-end", 1.5, {"seconds": 0.3, "drain": 0.1}),  # the load is over, and events are waited for
            ("drain", 0.5, {"seconds": 60.0, "arrivals": "closed", "in_flight": 2}),
        ],
    )
    def test_an_interruption_is_not_kept_waiting_by_events_that_never_come(
        self, tmp_path: Path, scenario: str, pause: float, changes: dict[str, Any]
    ) -> None:
        """Ctrl-C, where a bus accepts everything and brings nothing: it ends in time, with what was recorded."""
        interrupted: list[float] = []

        def interrupt(state: Mapping[str, Any]) -> None:
            if "offered" in state and not interrupted:
                time.sleep(pause)
                interrupted.append(time.monotonic())
                raise KeyboardInterrupt

        settings = {"backlog": BACKLOG} if scenario == "drain" else {}
        bus = {"events": "tests.faulty_after_load:make_silent"}
        with Session(Setup(scenario, bus, "bench-test", seed=1, settings=settings), {}, tmp_path, interrupt) as session:
            session.connect()
            window = session.offer(replace(SHORT, warmup=0.0, **changes))
            took = time.monotonic() - interrupted[0]
        assert took < 9.0
        assert (window.interrupted, window.complete, window.recorder.adds_up) == (True, False, True)
        assert window.recorder.offered > 0
        assert (window.checks["lost"], window.checks["unhandled"]) == (0, 0)

    def test_an_answer_that_came_with_the_progress_that_was_interrupted_is_not_lost(self, tmp_path: Path) -> None:
        def interrupt(_state: Mapping[str, Any]) -> None:
            raise KeyboardInterrupt

        session = Session(SETUP, {}, tmp_path, interrupt)
        session._processes.answers, writing = os.pipe()
        try:
            os.write(writing, b'{"progress": {}}\n{"id": 7, "answers": [], "trouble": ""}\n')
            with pytest.raises(KeyboardInterrupt):
                session._answer(7, 10.0)
            assert session._answer(7, 10.0)["id"] == 7
        finally:
            os.close(writing)
            os.close(session._processes.answers)

    def test_a_worker_that_is_killed_is_missed_and_the_window_is_kept(self, tmp_path: Path) -> None:
        killed: list[psutil.Process] = []

        def kill_one(state: Mapping[str, Any]) -> None:
            if state.get("seconds", -1.0) > 0 and not killed:
                *_, worker = sorted(generators_of(os.getpid()), key=lambda p: p.create_time())
                worker.kill()
                killed.append(worker)

        with Session(SETUP, {}, tmp_path, kill_one, workers=2) as session:
            session.connect()
            window = session.offer(replace(SHORT, seconds=6.0))
        assert killed
        assert (window.complete, window.workers) == (False, 1)
        assert "1 of 2 workers were lost" in window.trouble
        assert window.recorder.adds_up
        assert 0 < window.recorder.answered < 400
        # Whose parent has ended is taken note of by the first process of the machine, a moment later.
        assert wait_for(lambda: not killed[0].is_running(), within=10.0)


class TestGenerator:
    def test_the_command_never_imports_locust_which_would_patch_it(self) -> None:
        script = (
            "import sys, stackproof.commands.bench, stackproof.commands.bench_gate, stackproof.reports.measurement\n"
            "import stackproof.commands.bench_load, stackproof.measurement.judgement, stackproof.scenarios.work\n"
            "print(sorted({'locust', 'gevent'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_it_does_not_outlive_a_parent_that_is_killed(self, tmp_path: Path) -> None:
        script = (
            "import json, sys; from pathlib import Path\n"
            "from stackproof.scenarios.orders import Order, Setup\n"
            "from stackproof.scenarios.session import Session\n"
            "tell = lambda state: print('measuring' if 'offered' in state else '', flush=True)\n"
            "setup, order = (json.loads(text) for text in sys.argv[1:3])\n"
            "with Session(Setup.from_data(setup), {}, Path(sys.argv[3]), tell) as session:\n"
            "    session.connect(); session.offer(Order.from_data(order))\n"
        )
        order = replace(SHORT, seconds=60.0).to_data()
        left = tmp_path / "left"
        setup = replace(SETUP, backends={**MEMORY, "cache": "tests.marking_cache:make_marking"})
        command = [sys.executable, "-c", script, json.dumps(setup.to_data()), json.dumps(order), str(tmp_path)]
        environ = {**os.environ, "MARK": str(left), "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            try:
                assert any(line.strip() == "measuring" for line in parent.stdout)
                [generator] = generators_of(parent.pid)
                assert left.exists()
            finally:
                parent.kill()
            assert wait_for(
                lambda: not generator.is_running() or generator.status() == psutil.STATUS_ZOMBIE, within=20.0
            )
        assert not left.exists(), "it did not remove what it had stored"

    def test_a_backend_that_cannot_be_made_is_reported(self, tmp_path: Path) -> None:
        setup = replace(SETUP, backends={**MEMORY, "cache": "examples.nowhere:make"})
        with pytest.raises(GeneratorError, match=r"cannot be offered: .*examples\.nowhere"):
            offer(setup, {}, tmp_path, SHORT)

    def test_a_defect_of_ours_is_reported_too(self, tmp_path: Path) -> None:
        with pytest.raises(GeneratorError, match=r"nonsense"):
            offer(replace(SETUP, scenario="nonsense"), {}, tmp_path, SHORT)

    def test_one_that_ends_without_results_is_an_error_with_its_last_words(self, tmp_path: Path) -> None:
        with pytest.raises(GeneratorError, match=r"without results; the last line of .*generator\.log"):
            offer(SETUP, {"GEVENT_LOOP": "no-such-loop"}, tmp_path, SHORT)

    def test_on_real_servers_answers_are_right_and_nothing_is_left(self, tmp_path: Path) -> None:
        psycopg = pytest.importorskip("psycopg")
        redis = pytest.importorskip("redis")
        from stackproof.servers.sets import servers_for

        development = {"cache": "redis", "interactions": "postgres", "events": "redis", "logs": "console"}
        setup = replace(SETUP, backends=development)
        with servers_for(["postgres", "redis"], "embedded", os.environ) as servers:
            variables = servers.variables()
            [window] = offer(setup, variables, tmp_path, replace(SHORT, rate=40.0, seconds=2.0))
            with psycopg.connect(variables["DATABASE_URL"]) as connection:
                schemas = connection.execute(
                    "SELECT nspname FROM pg_namespace"
                    " WHERE nspname NOT LIKE 'pg%' AND nspname NOT IN ('public', 'information_schema')"
                ).fetchall()
            with redis.Redis.from_url(variables["REDIS_URL"]) as client:
                keys = client.keys("*")
        recorder = window.recorder
        assert recorder.ok == recorder.offered == 80
        assert [window.checks[kind] for kind in ("wrong", "lost", "duplicated")] == [0, 0, 0], window.checks
        assert window.checks["counts"]["summaries"] > 0
        assert window.checks["counts"]["cache fetches"] > 0
        assert window.locust == {"requests": 88, "failures": 0}
        assert set(recorder.steps) == {step.name for step in DECISION.steps}
        assert (schemas, keys) == ([], [])


class Forgetful(MemoryCache):
    """Answers every read with the value of another key."""

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        return super().get_or_fetch("the same for all", fetch, ttl)


def make(concern: str, namespace: str) -> Any:
    return parse_target(f"{concern}={MEMORY[concern]}").make(Settings({}), namespace)


class TestChecks:
    @pytest.fixture
    def work(self) -> Iterator[Work]:
        work = Work(DECISION, MEMORY, Settings({}), "checks")
        yield work
        assert work.close() == []

    def test_right_answers_are_not_blamed(self, work: Work) -> None:
        took: list[str] = []
        for number in range(300):
            work.decide(DECISION.item(number), lambda step, _: took.append(step))
        assert took.count("cache read") == 600
        assert work.checks.counts["summaries"] > 10
        assert work.checks.wrong == 0

    def test_a_value_of_another_key_is_a_wrong_answer(self) -> None:
        adapters = {concern: make(concern, "checks") for concern in DECISION.concerns}
        work = Work.on(DECISION, {**adapters, "cache": Forgetful(namespace="checks")})
        with pytest.raises(StepFailedError, match="WrongAnswerError"):
            work.decide(DECISION.item(1), lambda *_: None)
        assert work.checks.wrong == 1
        assert "never stored there" in work.checks.examples[0]

    def test_summaries_that_miss_or_double_an_interaction_are_wrong(self, work: Work) -> None:
        busiest = next(d for d in map(DECISION.item, range(1_000)) if d.key == 1)
        work.decide(busiest, lambda *_: None)
        impressions = work.bench.part(Impressions, work.bench)
        impressions.recorded[1] += 1  # as if the store had acknowledged one more than it kept
        with pytest.raises(StepFailedError, match="summaries read: WrongAnswerError"):
            work.decide(busiest, lambda *_: None)
        impressions.recorded[1] = impressions.attempted[1] = 0  # as if it counted what nobody recorded
        with pytest.raises(StepFailedError, match="summaries read: WrongAnswerError"):
            work.decide(busiest, lambda *_: None)
        assert work.checks.wrong == 2


class Elsewhere(MemoryCache):
    """Says that it keeps its entries on a server, and offers no way to remove them."""

    capabilities = replace(MemoryCache.capabilities, remote=True)
    drop_namespace = property()  # type: ignore[assignment]


class TestRemoving:
    def test_what_cannot_be_removed_from_a_server_is_said(self) -> None:
        work = Work(DECISION, MEMORY, Settings({}), "removing")
        work._adapters["cache"] = Elsewhere()
        assert work.close() == [
            "cache: ConfigurationError: it has no drop_namespace, so what this run stored stays on its server"
        ]

    def test_one_that_fails_does_not_keep_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        work = Work(DECISION, MEMORY, Settings({}), "removing")
        cache, store = work._adapters["cache"], work._adapters["interactions"]

        def fail() -> None:
            raise OSError("the disk is gone")

        monkeypatch.setattr(store, "drop_namespace", fail)
        assert work.close() == ["interactions: OSError: the disk is gone"]
        assert not cache.ping()
        assert not store.ping()


class TestCommand:
    @pytest.fixture
    def proven(self, tmp_path: Path) -> Path:
        """A directory in which the memory stack has its certificate."""
        suite_digest.cache_clear()  # the command reads the source as it is now
        keep_certificate(tmp_path / ".stackproof" / "runs", certificate())
        return tmp_path

    def start(self, directory: Path, *options: str, told: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "stackproof", "bench", "--stack", "memory", *options]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
        return subprocess.Popen(command, cwd=directory, env=environ, text=True, stdout=told, stderr=told)

    def test_it_measures_and_writes_record_and_page(self, proven: Path) -> None:
        process = self.start(
            proven,
            "--rate",
            "150",
            "--duration",
            "1",
            "--warmup",
            "0.2",
            "--out",
            "run",
            "--json",
            "-",
            "--slo",
            "p50=5s",
        )
        out, err = process.communicate(timeout=60)
        data = json.loads(out)
        jsonschema.validate(data, SCHEMA)
        assert data == json.loads((proven / "run/run.json").read_text(encoding="utf-8"))
        assert data["counts"]["offered"] == 150
        assert data["counts"]["offered"] == sum(data["counts"][end] for end in OUTCOMES)
        assert data["locust"]["requests"] == data["counts"]["ok"] + data["counts"]["failed"] + 30, "30 to warm up"
        assert [backend["certificate"] for backend in data["backends"]] == ["20260102-030405-abcd"] * 4
        assert data["slo"][0]["verdict"] == "held"
        # On a machine that gives us no time now and then, the run says so itself.
        starved = bool(data["invalid"]) or data["limiter"] == "client"
        assert all(any(words in told for words in STARVED) for told in data["invalid"]), data["invalid"]
        assert process.returncode == (Exit.INCONCLUSIVE if starved else Exit.HOLDS), err
        page = (proven / "run/measurement.html").read_text(encoding="utf-8")
        assert data["command"] in page
        assert "latency from the intended start" in err
        assert sorted(path.name for path in (proven / "run").iterdir()) == [
            "evidence.json",
            "measurement.html",
            "run.json",
            "run.lock",
        ]

    def test_interrupted_it_keeps_what_was_done_and_says_that_it_is_partial(self, proven: Path) -> None:
        options = ["--rate", "50", "--duration", "1", "--repeat", "60", "--warmup", "0", "--no-calibration"]
        process = self.start(proven, *options, "--out", "run")
        log = proven / "run/windows.jsonl"
        try:
            assert wait_for(lambda: log.is_file() and log.read_bytes().count(b"\n") >= 3, within=60.0)
            generator = generators_of(process.pid)[0]
            process.send_signal(signal.SIGINT)
            told = "".join(filter(None, process.communicate(timeout=30)))
        finally:
            process.kill()
        assert process.returncode == Exit.INTERRUPTED
        data = json.loads((proven / "run/run.json").read_text(encoding="utf-8"))
        assert f"go on with it: {data['command']} --resume run\n" in told
        jsonschema.validate(data, SCHEMA)
        assert data["level"] == "PARTIAL"
        assert data["counts"]["ok"] > 0
        assert data["counts"]["offered"] == sum(data["counts"][end] for end in OUTCOMES)
        assert data["removed"]
        assert not generator.is_running()

    def test_where_the_generator_is_killed_what_goes_on_with_the_windows_is_named(self, proven: Path) -> None:
        options = ["--rate", "50", "--duration", "1", "--repeat", "60", "--warmup", "0", "--no-calibration"]
        process = self.start(proven, *options, "--out", "run")
        log = proven / "run/windows.jsonl"
        try:
            assert wait_for(lambda: log.is_file() and log.read_bytes().count(b"\n") >= 3, within=60.0)
            generators_of(process.pid)[0].kill()
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == Exit.ENVIRONMENT
        assert "ended with code -9 without results" in err
        command = json.loads(log.read_text(encoding="utf-8").splitlines()[0])["command"]
        assert out.splitlines()[-1] == f"go on with it: {command} --resume run"

    def test_killed_between_windows_it_goes_on_where_it_was(self, proven: Path) -> None:
        options = ["--rate", "50", "--duration", "1.5", "--warmup", "0", "--repeat", "3", "--no-calibration"]
        log, said = proven / "run/windows.jsonl", proven / "told"
        with said.open("w", encoding="utf-8") as file:
            process = self.start(proven, *options, "--out", "run", told=file)
        try:
            # A window is told as soon as it is kept for good, which is a moment after it can be read.
            assert wait_for(lambda: "\nwindow 1 of 3   achieved " in said.read_text(encoding="utf-8"), within=60.0)
        finally:
            process.kill()
            process.wait(timeout=30)
        told = said.read_text(encoding="utf-8")
        again = json.loads(log.read_text(encoding="utf-8").splitlines()[0])["command"]
        assert f"run: run\nwhere it is cut short, go on with it: {again} --resume run\n" in told
        with log.open("a", encoding="utf-8") as file:
            file.write('{"role": "meas')  # torn
        first = log.read_text(encoding="utf-8").splitlines()[2]  # after the head and the self-check
        begun = (proven / "run/run.lock").read_text(encoding="utf-8").strip()
        process = self.start(proven, *options, "--resume", "run")
        _, err = process.communicate(timeout=90)
        assert process.returncode in (Exit.HOLDS, Exit.INCONCLUSIVE), err
        data = json.loads((proven / "run/run.json").read_text(encoding="utf-8"))
        jsonschema.validate(data, SCHEMA)
        assert data["complete"]
        assert data["id"] == begun != "run", "not the name of its directory, which others may have as well"
        assert [window["counts"]["offered"] for window in data["windows"]] == [75, 75, 75]
        assert data["counts"]["offered"] == 225
        assert data["windows"][0]["histograms"] == json.loads(first)["histograms"], "measured once"
        assert len({window["order"]["seed"] for window in data["windows"]}) == 3
        assert not log.exists()

    def test_two_backends_are_measured_in_turns_as_pairs_of_windows(self, proven: Path) -> None:
        options = ["--scenario", "cache-hot", "--backend", "cache=memory", "--against", "cache=local"]
        options += ["--rate", "100", "--duration", "1", "--warmup", "0", "--repeat", "4"]
        process = self.start(proven, *options, "--no-calibration", "--out", "run")
        _, err = process.communicate(timeout=240)  # the contract of the other one is verified first
        assert process.returncode in (Exit.HOLDS, Exit.INCONCLUSIVE), err
        one, two = (
            json.loads((proven / name / "run.json").read_text(encoding="utf-8")) for name in ("run", "run-against")
        )
        for data, backend in ((one, "cache=memory"), (two, "cache=local")):
            jsonschema.validate(data, SCHEMA)
            assert [row["target"] for row in data["backends"]] == [backend]
            assert [window["pair"] for window in data["windows"]] == ["0", "1", "2", "3"]
        orders = [[window["order"] for window in data["windows"]] for data in (one, two)]
        assert orders[0] == orders[1], "both have the same operations"
        firsts = [a["started"] < b["started"] for a, b in zip(one["windows"], two["windows"], strict=True)]
        order = sorted((window["started"], window["pair"]) for data in (one, two) for window in data["windows"])
        assert [pair for _, pair in order] == ["0", "0", "1", "1", "2", "2", "3", "3"]
        assert len(set(firsts)) == 2, "neither side is always the first"
        command = [
            sys.executable,
            "-m",
            "stackproof",
            "compare",
            "run",
            "run-against",
            "--accept",
            "backend",
            "--json",
            "-",
        ]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=proven, env=environ, capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout)
        assert answer["paired"] or answer["outcome"] == "invalid", done.stderr

    @pytest.mark.parametrize("option", ["--find-max", "--bind=127.0.0.1:1", "--resume=run"])
    def test_pairs_do_not_go_together_with_everything(
        self, option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from stackproof.cli import main

        monkeypatch.setattr(signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            main(["bench", "--stack", "memory", "--against", "cache=local", option])
        assert ended.value.code == Exit.USAGE
        assert "cannot take part in" in capsys.readouterr().err

    def test_a_run_is_not_gone_on_with_by_another_one(self, proven: Path) -> None:
        process = self.start(proven, "--rate", "50", "--duration", "1", "--warmup", "0", "--out", "run")
        process.communicate(timeout=60)
        process = self.start(proven, "--resume", "run")
        _, err = process.communicate(timeout=60)
        assert process.returncode == Exit.USAGE
        assert "to go on from" in err

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--scenario", "nonsense"], "decision"),
            (["--rate", "0"], "rate"),
            (["--rate", "0.1", "--duration", "2"], "less than one operation"),
            (["--duration", "nan"], "--duration"),
            (["--slo", "fast"], "p99=20ms"),
            (["--backend", "search=memory"], "uses no search"),
            (["--backend", "cache=memory", "--backend", "cache=local"], "more than once"),
            (["--bind", "nowhere"], "--bind 'nowhere' must look like"),
            (
                ["--bind", "192.0.2.1:5557"],
                "--bind 192.0.2.1:5557: nothing can listen there on this machine: Cannot assign",
            ),
            (["--bind", f"{'long' * 30}.example:5557"], "nothing can listen there on this machine"),
            (["--arrivals", "wobbly"], "replay:FILE, closed"),
            (["--arrivals", "closed", "--rate", "50"], "--arrivals closed has no rate"),
        ],
    )
    def test_wrong_usage_is_one_sentence(
        self, options: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from stackproof.cli import main

        monkeypatch.setattr(signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            main(["bench", "--stack", "memory", *options])
        assert ended.value.code == Exit.USAGE
        assert words in capsys.readouterr().err

    def test_refused_it_shows_and_writes_no_figures(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from stackproof.cli import main

        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(gate.Gate, "_verify", lambda *_: certificate(clauses=with_first(Verdict.FAIL)))
        with pytest.raises(SystemExit) as ended:
            main(["bench", "--stack", "memory", "--out", "run"])
        assert ended.value.code == Exit.BROKEN
        assert "No figures" in capsys.readouterr().out
        assert not (tmp_path / "run").exists()

    def test_a_missing_package_is_the_line_to_type(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import stackproof.commands.bench as command

        monkeypatch.setattr(command, "NEEDED", {"no_such_package_here": "bench"})
        with pytest.raises(ConfigurationError, match=r"pip install 'stackproof\[bench\]'"):
            command.require_packages("bench")


class TestPage:
    def page(self, **changes: Any) -> tuple[Measurement, str]:
        recorder = recorded(700, failed=10, dropped=290)
        recorder.errors["<script>alert(1)</script>\u202e"] += 0
        result = judged(recorder, **changes)
        return result, render(result)

    def test_it_loads_nothing_and_escapes_what_others_chose(self) -> None:
        _, page = self.page(left_behind=("cache: <b>boom</b>",))
        assert "http" not in page.lower().replace("http-equiv", "")
        assert "<script" not in page
        assert "<b>boom" not in page
        assert "&lt;b&gt;boom" in page
        assert "\u202e" not in page

    def test_it_shows_the_figures_of_the_record(self) -> None:
        result, page = self.page()
        assert f"{result.latency['intended'].p50:.2f} ms" in page
        assert "never" in page, "the row that counts every decision says that p99 was never answered"
        assert "publish: UnavailableError" in page
        assert page.count('<svg class="chart wide"') == page.count('<svg class="chart narrow"') == 2
        assert "var(--calm)" in page

    def test_an_invalid_run_says_so_first(self) -> None:
        _, page = self.page(gaps=(GAP,))
        assert page.index("INVALID") < page.index("Not to be used") < page.index('<h2 id="figures">')
