"""What the sessions of a run have to do with each other: whose self-check counts, which backends and operations are the same, and
what one leaves behind."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from bench_samples import CHECKS, FACTS, ORDER, TARGETS, offered, recorded, self_check_of
from calibration_samples import closed, opened
from rich.console import Console
from simulated_load import simulated_window
from test_bench_search import SCHEMA
from test_bench_search import SHORT as SEARCH

from stackproof.commands import bench_load, bench_pair, bench_search, bench_sweep
from stackproof.commands.bench_gate import Proof
from stackproof.commands.bench_going_on import is_of_a_pair
from stackproof.commands.bench_load import Load, Run, described, null_order
from stackproof.commands.bench_pair import offer_pairs
from stackproof.commands.bench_run import _exit_code, _gone_on_with
from stackproof.commands.bench_stored import forget, namespaces, note
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.environment import read_environment
from stackproof.measurement.judgement import limiter_of, measurement_of, window_of
from stackproof.measurement.record import Measurement, from_json, to_json
from stackproof.measurement.record_names import MEASURED
from stackproof.measurement.window_log import WINDOWS, WindowLog, head_of, kept_windows
from stackproof.reports.measurement_terminal import LoadView
from stackproof.reports.text import told
from stackproof.scenarios.orders import BACKENDS, NULL, Offered, Order, Setup
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.session import GeneratorError, Session
from stackproof.servers import ServerError

LOAD = Load("memory", (), "decision", {}, ORDER, 3, 1, (), "embedded", calibrated=False)
UNTRUSTED, TRUSTED = self_check_of(closed), self_check_of(opened)
UNCHECKED: dict[str, Any] = TRUSTED | {"stub": None}
LEVELS = (1, 2)
WRONG = {**CHECKS, "wrong": 3, "examples": ["another one's"]}
SAID = "3 answers of backends were wrong; for example: another one's."


def run_in(directory: Path, digest: str = "d", **changes: Any) -> Run:
    """A run on the memory stack, whose backends' source has this digest."""
    record: Any = SimpleNamespace(digest=digest, backend="x", fidelity="native")
    proofs = {target.name: Proof("certificate", record) for target in TARGETS}
    directory.mkdir(exist_ok=True)
    return Run(replace(LOAD, **changes), tuple(TARGETS), proofs, (), "id", directory, read_environment(), ())


@dataclass
class Faked:
    """The session of a run: it offers by the clock of nobody, and is interrupted in the middle of a window."""

    interrupted_at: int | None = None
    """Number of the window for the backends that is not ended."""
    orders: list[Order] = field(default_factory=list)
    checks: Mapping[str, Any] = field(default_factory=lambda: CHECKS)
    """Of that window."""
    left_behind: tuple[str, ...] = ()
    namespace: str = "bench-test"

    def connect(self) -> None:
        """Nothing."""

    def each(self) -> tuple[()]:
        return ()

    def offer(self, order: Order) -> Offered:
        if order.target == BACKENDS:
            self.orders.append(order)
            if len(self.orders) - 1 == self.interrupted_at:
                return offered(recorded(10), order=order, interrupted=True, complete=False, checks=self.checks)
        return simulated_window(order, callers=2, service=0.002)


Measure = Callable[..., Measurement]


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Measures over a session whose self-check shows what is given."""

    def measuring(run: Run, session: Faked, check: Mapping[str, Any], console: Console | None = None) -> Measurement:
        console = console or Console(file=io.StringIO())

        @contextmanager
        def of_run(*_: object) -> Iterator[Faked]:
            yield session

        monkeypatch.setattr(Run, "session", of_run)
        monkeypatch.setattr(Run, "gather_evidence", lambda *_: None)
        for module in (bench_load, bench_sweep, bench_search):
            monkeypatch.setattr(module, "self_check", lambda *_: check)
        if run.load.search:
            return bench_search.search(run, SEARCH, console)
        return bench_sweep.sweep(run, LEVELS, console) if run.load.sweep else bench_load.offer(run, console)

    return measuring


KINDS = [
    pytest.param({}, 1, id="fixed rate"),
    pytest.param({"sweep": "1,2"}, 2, id="sweep"),
    pytest.param({"search": ("--find-max",)}, 3, id="search"),
]


class Mortal:
    """A server that can be asked until the load begins."""

    name, technology, origin, fidelity = "redis", "redis", "embedded", "native"
    dead = False

    def version(self) -> str:
        if self.dead:
            raise ServerError("The embedded Redis could not be asked: Connection refused.")
        return "6.2"

    def facts(self) -> dict[str, str]:
        return {}


@pytest.mark.parametrize(("kind", "_number"), KINDS)
def test_what_was_measured_of_a_server_that_died_is_in_the_record(
    measure: Measure, tmp_path: Path, kind: dict[str, Any], _number: int
) -> None:
    server: Any = Mortal()
    run = replace(run_in(tmp_path / "run", **kind), servers=(server,), described=described([server]))
    session = Faked()

    def dies() -> None:
        server.dead = True

    session.connect = dies  # type: ignore[method-assign]
    record = measure(run, session, TRUSTED)
    assert record.windows
    assert [told["version"] for told in record.servers] == ["6.2"]


@pytest.mark.parametrize(("kind", "windows", "more"), [({}, 3, ""), ({"sweep": "1,2"}, 6, "   [12] in flight")])
def test_where_nobody_looks_each_window_that_ended_is_a_line(
    measure: Measure, tmp_path: Path, kind: dict[str, Any], windows: int, more: str
) -> None:
    run = run_in(tmp_path / "run", **kind)
    form = rf"window \d of {windows}{more}   achieved [\d.]+ of [\d.]+ a second   p99 \S+( ms)?   ok \d+   .*failed \d+"

    def numbers(session: Faked) -> list[int]:
        console = Console(file=io.StringIO(), width=40)
        measure(run, session, TRUSTED, console)
        assert isinstance(console.file, io.StringIO)
        lines = console.file.getvalue().splitlines()
        assert [line for line in lines if not re.fullmatch(form, line)] == []
        return [int(line.removeprefix("window ")[0]) for line in lines]

    assert numbers(Faked(interrupted_at=2)) == [1, 2]
    assert numbers(Faked()) == list(range(3, windows + 1))


@pytest.mark.parametrize(("kind", "first", "then"), [({}, 3, 5), ({"sweep": "1,2"}, 6, 10)])
def test_a_run_that_was_gone_on_with_for_longer_says_so(
    measure: Measure, tmp_path: Path, kind: dict[str, Any], first: int, then: int
) -> None:
    run = run_in(tmp_path / "run", **kind)
    measure(run, Faked(interrupted_at=2), TRUSTED)
    result = measure(run_in(tmp_path / "run", **kind, repeat=5), Faked(), TRUSTED)
    assert (result.complete, result.load["repeat"], len(result.windows)) == (True, 5, then)
    told = f"{then} windows were asked for when the run was gone on with, and {first} when it was begun"
    assert any(sentence.startswith(told) for sentence in result.warnings)


def test_a_window_in_which_nothing_had_begun_says_nothing_of_those_before(measure: Measure, tmp_path: Path) -> None:
    class Early(Faked):
        def offer(self, order: Order) -> Offered:
            found = super().offer(order)
            unseen = {**CHECKS, "unchecked": ["after cache get: the window was cut short"]}
            return replace(found, recorder=Recorder(), checks=unseen) if found.interrupted else found

    first = measure(run_in(tmp_path / "run"), Early(interrupted_at=1), TRUSTED)
    assert (first.level, first.interrupted, len(first.windows), first.invalid) == ("PARTIAL", True, 1, ())
    none = measure(run_in(tmp_path / "other"), Early(interrupted_at=0), TRUSTED)
    assert (none.level, len(none.windows)) == ("PARTIAL", 1)
    assert [sentence.split(":")[0] for sentence in none.invalid] == ["The run was cut short"]


def test_a_window_that_was_cut_short_held_no_rate() -> None:
    whole = offered(recorded(1000))
    lost = replace(whole, complete=False, trouble="1 of 2 workers were lost")
    assert limiter_of(whole, None) == ("none", "the rate was held: this is no ceiling")
    assert limiter_of(lost, None) == ("unknown", "it was cut short (1 of 2 workers were lost)")


def test_in_a_closed_loop_no_rate_was_held() -> None:
    whole = offered(recorded(1000))
    limiter, reason = limiter_of(replace(whole, order=replace(whole.order, arrivals="closed")), None)
    assert (limiter, reason.partition(":")[2]) == ("none", " no rate was offered")


def test_the_line_of_a_window_has_the_percentile_that_decides() -> None:
    console = Console(file=io.StringIO(), width=200)
    LoadView(console).ended(window_of(MEASURED, offered(recorded(600, failed=400)), TRUSTED))
    assert isinstance(console.file, io.StringIO)
    assert "p99 never" in console.file.getvalue()


def test_a_run_that_was_gone_on_with_as_it_was_says_nothing_of_that(measure: Measure, tmp_path: Path) -> None:
    measure(run_in(tmp_path / "run"), Faked(interrupted_at=2), TRUSTED)
    result = measure(run_in(tmp_path / "run"), Faked(), TRUSTED)
    assert not any("were asked for" in sentence for sentence in result.warnings)


@pytest.mark.parametrize("kind", [{}, {"sweep": "1,2"}])
def test_interrupted_between_two_windows_what_was_measured_is_in_the_record(
    measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: dict[str, Any]
) -> None:
    def ctrl_c(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LoadView, "ended", ctrl_c)
    result = measure(run_in(tmp_path / "run", **kind), Faked(), TRUSTED)
    assert (result.interrupted, result.complete) == (True, False)
    assert len(result.windows) == 1
    assert len(kept_windows(tmp_path / "run").windows) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [{}, {"sweep": "1,2"}])
@pytest.mark.parametrize("at", [1, 2])
def test_interrupted_before_a_window_has_begun_those_before_it_are_in_the_record(
    measure: Measure, tmp_path: Path, kind: dict[str, Any], at: int
) -> None:
    result = measure(run_in(tmp_path / "run", **kind), Killed(at, trouble=KeyboardInterrupt()), TRUSTED)
    assert (result.interrupted, result.complete) == (True, False)
    assert len(result.windows) == at == len(kept_windows(tmp_path / "run").windows)  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [{}, {"sweep": "1,2"}])
def test_interrupted_before_the_first_window_there_is_no_record(
    measure: Measure, tmp_path: Path, kind: dict[str, Any]
) -> None:
    run, console = run_in(tmp_path / "run", **kind), Console(file=io.StringIO())
    with pytest.raises(KeyboardInterrupt), _gone_on_with(run, console):
        measure(run, Killed(0, trouble=KeyboardInterrupt()), TRUSTED)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "", "there is nothing to go on with"


def test_no_window_that_is_there_is_dropped_for_a_smaller_number(measure: Measure, tmp_path: Path) -> None:
    measure(run_in(tmp_path / "run", repeat=1), Faked(interrupted_at=0), TRUSTED)
    measure(run_in(tmp_path / "run", repeat=6), Faked(interrupted_at=4), TRUSTED)
    with pytest.raises(ConfigurationError, match="holds 4 windows, and 3 are asked for"):
        measure(run_in(tmp_path / "run", repeat=3), Faked(), TRUSTED)


def test_in_a_terminal_no_window_is_a_line() -> None:
    view = LoadView(Console(file=io.StringIO(), force_terminal=True), 1)
    shown = io.StringIO()
    view._console.file = shown
    view.ended(window_of(MEASURED, offered(recorded(10)), TRUSTED))
    assert shown.getvalue() == ""


@dataclass
class Killed(Faked):
    """The session of a generator that is gone before a window ends."""

    trouble: BaseException = field(default_factory=lambda: GeneratorError("it ended with code -9 without results"))

    def offer(self, order: Order) -> Offered:
        one = super().offer(order)
        if not one.complete:
            raise self.trouble
        return one


@pytest.mark.parametrize(
    ("at", "trouble", "named"),
    [
        (1, GeneratorError("it ended with code -9 without results"), True),
        (1, AssertionError("a defect of ours"), True),
        (1, ConfigurationError("the run had begun under other conditions"), False),
        (0, GeneratorError("it ended with code -9 without results"), False),
    ],
)
def test_where_windows_are_kept_an_end_in_trouble_names_what_goes_on_with_them(
    measure: Measure, tmp_path: Path, at: int, trouble: BaseException, named: bool
) -> None:
    run, console = run_in(tmp_path / "a run"), Console(file=io.StringIO(), width=40)
    with pytest.raises(type(trouble)), _gone_on_with(run, console):
        measure(run, Killed(at, trouble=trouble), TRUSTED)
    assert isinstance(console.file, io.StringIO)
    command = f"go on with it: {run.load.command()} --resume '{tmp_path}/a run'\n"
    assert console.file.getvalue() == (command if named else "")


def test_where_pairs_end_in_trouble_no_command_is_named(measure: Measure, tmp_path: Path) -> None:
    run, console = run_in(tmp_path / "run", against=("cache=local",)), Console(file=io.StringIO())
    with pytest.raises(GeneratorError), _gone_on_with(run, console):
        measure(run, Killed(1), TRUSTED)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


class TestStored:
    """Under which names a run may have left something on servers of somebody else."""

    class Session(Faked):
        """One that is entered, and tells what is noted of it then."""

        directory: Path
        noted: tuple[str, ...] = ()
        introduced = ()

        def __enter__(self) -> TestStored.Session:
            self.noted = namespaces(self.directory)
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing."""

    @pytest.fixture
    def session(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
        one = self.Session()
        one.directory = tmp_path / "run"
        monkeypatch.setattr(bench_load, "Session", lambda *_, **__: one)
        return one

    def test_the_name_is_there_before_anything_is_and_goes_when_all_is_removed(
        self, session: Session, tmp_path: Path
    ) -> None:
        run = run_in(tmp_path / "run", origin="external")
        note(run.directory, "bench-earlier")
        with run.session(None, lambda _: None):
            assert session.noted == ("bench-earlier", "bench-test")
        assert run.left_behind_by(session) == ()  # type: ignore[arg-type]
        assert namespaces(run.directory) == ("bench-earlier",)
        forget(run.directory, "bench-earlier")
        assert [path.name for path in run.directory.iterdir()] == []

    def test_what_could_not_be_removed_stays_noted(
        self, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = run_in(tmp_path / "run", origin="external")
        session.left_behind = ("it ended",)
        monkeypatch.setattr(Run, "remove", lambda *_: ("cache: UnavailableError: away",))
        with pytest.raises(GeneratorError), run.session(None, lambda _: None):
            raise GeneratorError("it ended")
        assert namespaces(run.directory) == ("bench-test",)

    def test_our_own_servers_end_with_the_run(self, session: Session, tmp_path: Path) -> None:
        with run_in(tmp_path / "run").session(None, lambda _: None):
            assert session.noted == ()


class TestSelfCheck:
    """A session vouches for its own windows, and for no others."""

    @pytest.mark.parametrize(("kind", "interrupted_at"), KINDS)
    def test_one_that_failed_is_not_forgotten_when_the_run_is_gone_on_with(
        self, measure: Measure, tmp_path: Path, kind: dict[str, Any], interrupted_at: int
    ) -> None:
        run = run_in(tmp_path / "run", **kind)
        first = measure(run, Faked(interrupted_at), UNTRUSTED)
        assert first.interrupted
        result = measure(run, Faked(), TRUSTED)
        assert result.complete
        assert any(sentence.startswith("Self-check: ") for sentence in result.invalid), result.invalid
        assert (result.level, _exit_code(result)) == ("INVALID", Exit.INCONCLUSIVE)
        assert result.calibration == UNTRUSTED, "the record has the check that says why"
        jsonschema.validate(json.loads(to_json(result)), SCHEMA)
        assert from_json(to_json(result)) == result

    @pytest.mark.parametrize(("kind", "interrupted_at"), KINDS)
    def test_one_that_was_left_out_keeps_the_run_from_being_published(
        self, measure: Measure, tmp_path: Path, kind: dict[str, Any], interrupted_at: int
    ) -> None:
        run = run_in(tmp_path / "run", **kind)
        measure(run, Faked(interrupted_at), UNCHECKED)
        result = measure(run, Faked(), TRUSTED)
        assert not any("Self-check" in sentence for sentence in result.invalid)
        assert any("are not to be published" in sentence for sentence in result.warnings)
        assert result.calibration["stub"] is None

    @pytest.mark.parametrize(("kind", "interrupted_at"), KINDS)
    def test_good_ones_are_no_trouble(
        self, measure: Measure, tmp_path: Path, kind: dict[str, Any], interrupted_at: int
    ) -> None:
        run = run_in(tmp_path / "run", **kind)
        measure(run, Faked(interrupted_at), TRUSTED)
        result = measure(run, Faked(), TRUSTED)
        assert result.calibration == TRUSTED
        assert not any("elf-check" in sentence for sentence in result.invalid)
        assert not any("are not to be published" in sentence for sentence in result.warnings)

    def test_one_of_a_session_that_kept_no_window_does_not_count(self, measure: Measure, tmp_path: Path) -> None:
        run = run_in(tmp_path / "run")
        measure(run, Faked(0), UNTRUSTED)
        assert measure(run, Faked(), TRUSTED).invalid == ()
        log = WindowLog(run.directory, run.identity)
        log.begin()
        assert log.checks == (TRUSTED,)

    def test_one_whose_first_window_was_torn_does_not_count_either(self, tmp_path: Path) -> None:
        window = window_of(MEASURED, offered(recorded(100)))
        for check in (UNTRUSTED, TRUSTED):
            log = WindowLog(tmp_path, {})
            log.begin()
            log.keep(window, check)
            if check is UNTRUSTED:
                text = (tmp_path / WINDOWS).read_text(encoding="utf-8")
                (tmp_path / WINDOWS).write_text(text[:-20], encoding="utf-8")
        log = WindowLog(tmp_path, {})
        assert log.begin() == (window,)
        assert log.checks == (TRUSTED,)

    @pytest.mark.parametrize(
        ("checks", "worst"),
        [
            ((UNTRUSTED, UNCHECKED, TRUSTED), UNTRUSTED),
            ((TRUSTED, UNCHECKED), UNCHECKED),
            ((TRUSTED | {"held": False}, TRUSTED), TRUSTED | {"held": False}),
            ((TRUSTED, TRUSTED | {"rate": 7.0}), TRUSTED | {"rate": 7.0}),
        ],
    )
    def test_the_record_has_the_one_that_is_believed_least_and_of_equals_the_last(
        self, checks: Sequence[Mapping[str, Any]], worst: Mapping[str, Any]
    ) -> None:
        windows = [window_of(MEASURED, offered(recorded(100)))]
        result = measurement_of(LOAD.workload, checks[-1], windows, FACTS, (), earlier=checks[:-1])
        assert result.calibration == worst


class TestUntruths:
    """What was wrong in a window that was cut short is wrong for good, however well the window goes that is offered again."""

    @pytest.mark.parametrize(("kind", "interrupted_at"), KINDS)
    def test_they_are_not_forgotten_when_the_run_is_gone_on_with(
        self, measure: Measure, tmp_path: Path, kind: dict[str, Any], interrupted_at: int
    ) -> None:
        run = run_in(tmp_path / "run", **kind)
        first = measure(run, Faked(interrupted_at, checks=WRONG), TRUSTED)
        assert any(SAID in sentence for sentence in first.invalid), first.invalid
        for _ in range(2):  # whoever goes on with it, and how often
            result = measure(run, Faked(), TRUSTED)
            assert result.complete
            assert result.invalid[-1] == f"In a window that was cut short: {SAID}"
            assert (result.level, _exit_code(result)) == ("INVALID", Exit.INCONCLUSIVE)

    def test_a_backlog_when_it_was_cut_short_says_nothing_against_the_run(
        self, measure: Measure, tmp_path: Path
    ) -> None:
        run = run_in(tmp_path / "run")
        measure(run, Faked(1, checks={**CHECKS, "unhandled": 3, "examples": ["a message"]}), TRUSTED)
        assert measure(run, Faked(), TRUSTED).invalid == ()

    def test_a_disk_that_is_full_does_not_hide_them(
        self, measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = run_in(tmp_path / "run", sweep="1,2")
        keep = WindowLog._append

        def full(self: WindowLog, data: Mapping[str, Any]) -> None:
            if "broken_off" in data:
                raise OSError(28, "No space left on device")
            keep(self, data)

        monkeypatch.setattr(WindowLog, "_append", full)
        result = measure(run, Faked(2, checks=WRONG), TRUSTED)
        assert result.invalid[-1] == f"In a window that was cut short: {SAID}"
        assert any("cannot be written: No space left" in sentence for sentence in result.warnings)


class TestSources:
    @pytest.mark.parametrize(("kind", "interrupted_at"), KINDS)
    def test_windows_of_another_source_of_a_backend_are_not_gone_on_with(
        self, measure: Measure, tmp_path: Path, kind: dict[str, Any], interrupted_at: int
    ) -> None:
        measure(run_in(tmp_path / "run", **kind), Faked(interrupted_at), TRUSTED)
        edited = run_in(tmp_path / "run", "edited", **kind)
        with pytest.raises(ConfigurationError, match=r"another source of cache=memory, .*begin a new run"):
            measure(edited, Faked(), TRUSTED)

    def test_sources_of_backends_that_are_not_measured_do_not_matter(self, tmp_path: Path) -> None:
        run = run_in(tmp_path / "run")
        assert replace(run, targets=run.targets[:1]).identity["digests"] == {run.targets[0].name: "d"}


class Numbered(Session):
    """A session whose processes answer at once, and remember what they were asked for."""

    def __init__(self, directory: Path, *, lost_at: int = 99, wrong_at: int = 99) -> None:
        super().__init__(Setup("decision", {}, "bench-test"), {}, directory, lambda _state: None)
        self.asked: list[Order] = []
        self.lost_at, self.wrong_at = lost_at, wrong_at
        self.left_behind = ()

    def connect(self, workload: int = 0, within: float = 0.0) -> None:
        """Nothing."""

    def _send(self, message: Mapping[str, Any]) -> int:
        self.asked.append(Order.from_data(message["order"]))
        return 0

    def _answer(self, number: int, seconds: float) -> dict[str, Any]:
        lost = len(self.backends) > self.lost_at
        part = {
            "worker": 0,
            "recorder": recorded(100).to_data(),
            "warmup": dict.fromkeys(("offered", "ok", "late", "skipped", "dropped", "failed"), 0),
            "locust": {"requests": 100, "failures": 0},
            "checks": WRONG if len(self.backends) > self.wrong_at else CHECKS,
            "gaps": [],
            "elapsed": 10.0,
            "cpu_seconds": 1.0,
            "offering": {"seconds": 10.0, "answered": 100, "cpu_seconds": 1.0},
            "most_in_flight": 3,
            "lost_log_lines": 0,
            "complete": not lost,
            "interrupted": False,
            "trouble": "1 of 2 workers were lost" if lost else "",
        }
        return {"answers": [part], "trouble": ""}

    @property
    def backends(self) -> list[Order]:
        return [order for order in self.asked if order.target == BACKENDS]


class TestOperations:
    """Which operations a window has depends on its number only."""

    @pytest.fixture
    def pairs(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[list[Numbered], list[Any]]]:
        def offering(
            *checked: int, lost_at: int = 99, wrong_at: tuple[int, int] = (99, 99)
        ) -> tuple[list[Numbered], list[Any]]:
            """Both sides, each of which needs so many windows for its self-check, and their records."""
            sessions = [
                Numbered(tmp_path, wrong_at=wrong_at[0]),
                Numbered(tmp_path, lost_at=lost_at, wrong_at=wrong_at[1]),
            ]
            waiting, times = list(sessions), list(checked)

            @contextmanager
            def of_run(*_: object) -> Iterator[Numbered]:
                yield waiting.pop(0)

            def check(offer: Callable[[Order], Offered], order: Order, _stub: object) -> Mapping[str, Any]:
                for _ in range(times.pop(0)):
                    offer(null_order(order))
                return TRUSTED

            monkeypatch.setattr(Run, "session", of_run)
            monkeypatch.setattr(Run, "gather_evidence", lambda *_: None)
            monkeypatch.setattr(bench_pair, "self_check", check)
            one, two = run_in(tmp_path / "one", against=("cache=local",)), run_in(tmp_path / "two")
            return sessions, list(offer_pairs(one, two, Console(file=io.StringIO())))

        return offering

    def test_both_windows_of_a_pair_have_the_same_however_long_the_self_checks_took(
        self, pairs: Callable[..., tuple[list[Numbered], list[Measurement]]]
    ) -> None:
        (first, second), results = pairs(3, 11)
        assert len(first.asked) != len(second.asked)
        assert first.backends == second.backends
        assert len({(order.number, order.seed) for order in first.backends}) == LOAD.repeat
        orders = [[dict(window.order) for window in result.windows] for result in results]
        assert orders[0] == orders[1]
        assert [_exit_code(result) for result in results] == [Exit.HOLDS] * 2

    def test_a_pair_that_a_lost_worker_cut_short_is_told_on_both_sides(
        self, pairs: Callable[..., tuple[list[Numbered], list[Measurement]]]
    ) -> None:
        _, results = pairs(1, 1, lost_at=2)
        for result in results:
            assert len(result.windows) == 2
            assert (result.level, _exit_code(result)) == ("PARTIAL", Exit.INCONCLUSIVE)
            assert result.invalid[0].startswith("The run was cut short (1 of 2 workers were lost)")

    def test_neither_side_of_a_pair_looks_as_if_it_could_be_gone_on_with(
        self, pairs: Callable[..., tuple[list[Numbered], list[Measurement]]], tmp_path: Path
    ) -> None:
        pairs(1, 1)
        heads = [head_of(tmp_path / side) for side in ("one", "two")]
        assert all(head is not None and is_of_a_pair(head) for head in heads)

    def test_wrong_answers_in_a_pair_that_was_cut_short_are_told_of_the_side_that_gave_them(
        self, pairs: Callable[..., tuple[list[Numbered], list[Measurement]]]
    ) -> None:
        _, (_, second) = pairs(1, 1, lost_at=2, wrong_at=(99, 2))
        assert second.invalid[-1] == f"In a window that was cut short: {SAID}"

    def test_wrong_answers_in_a_whole_window_whose_pair_was_cut_short_are_told_too(
        self, pairs: Callable[..., tuple[list[Numbered], list[Measurement]]]
    ) -> None:
        _, (first, second) = pairs(1, 1, lost_at=0, wrong_at=(0, 99))  # whose first window is that of the first side
        assert first.invalid[-1] == f"In a window whose pair was cut short: {SAID}"
        assert not any("wrong" in sentence for sentence in second.invalid)

    def test_no_two_windows_of_a_session_share_any(self, tmp_path: Path) -> None:
        session = Numbered(tmp_path)
        for order in (
            ORDER,
            replace(ORDER, target=NULL),
            ORDER,
            replace(ORDER, number=7),
            ORDER,
            replace(ORDER, number=3),
        ):
            session.offer(order)
        assert [order.number for order in session.backends] == [0, 1, 7, 8, 9]

    @pytest.mark.parametrize(("kind", "interrupted_at"), KINDS[:2])
    def test_windows_of_a_run_that_is_gone_on_with_repeat_none_of_those_before(
        self, measure: Measure, tmp_path: Path, kind: dict[str, Any], interrupted_at: int
    ) -> None:
        run, first, second = run_in(tmp_path / "run", **kind), Faked(interrupted_at), Faked()
        measure(run, first, TRUSTED)
        measure(run, second, TRUSTED)
        numbers = [order.number for order in (*first.orders[:-1], *second.orders)]
        assert numbers == list(range(len(numbers)))


class Dying:
    """A session whose generator is gone; it removed everything, or nothing."""

    left: tuple[str, ...] = ("the generator ended before it could remove anything",)

    def __init__(self, setup: Setup, *_: object, **__: object) -> None:
        self.namespace = setup.namespace
        self.introduced = ()
        self.left_behind = self.left

    def __enter__(self) -> Dying:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""


class TestLeftBehind:
    @pytest.mark.parametrize("error", [GeneratorError("it was killed"), KeyboardInterrupt()])
    def test_what_could_not_be_removed_is_said_with_the_error(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException
    ) -> None:
        monkeypatch.setattr(bench_load, "Session", Dying)
        monkeypatch.setattr(bench_load, "drop_namespace", lambda *_: ["cache: UnavailableError: away"])
        with pytest.raises(type(error)) as caught, run_in(tmp_path / "run").session(None, lambda _state: None):
            raise error
        assert told(caught.value) == (
            f"{error}; not everything that the run stored could be removed: cache: UnavailableError: away"
        )

    def test_where_everything_was_removed_there_is_nothing_to_say(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        removed: list[object] = []
        monkeypatch.setattr(bench_load, "Session", Dying)
        monkeypatch.setattr(bench_load, "drop_namespace", lambda *_: removed.append(1) or [])
        for left, times in ((Dying.left, 1), ((), 1)):
            monkeypatch.setattr(Dying, "left", left)
            with pytest.raises(GeneratorError) as caught, run_in(tmp_path / "run").session(None, lambda _state: None):
                raise GeneratorError("it was killed")
            assert told(caught.value) == "it was killed"
            assert len(removed) == times, "what the generator removed itself is not removed again"
