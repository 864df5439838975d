"""Scenarios as values: distributions, items, mixes, settings, how they are found, and when their items are due."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from importlib.metadata import EntryPoint
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stackproof.interfaces import ConfigurationError
from stackproof.scenarios import catalogue
from stackproof.scenarios.arrivals import (
    Constant,
    Poisson,
    Replay,
    Schedule,
    Stepped,
    dispatch,
    natural_rate,
    schedule_of,
    share,
)
from stackproof.scenarios.catalogue import BUILT_IN, DECISION, INGEST, find_scenario, settings_of
from stackproof.scenarios.distributions import Hot, Keys, Sizes, Uniform, Zipf
from stackproof.scenarios.orders import Checked
from stackproof.scenarios.scenario import Parameter, Scenario
from stackproof.scenarios.steps import CacheGet, CacheRead, LogLine, Publish
from stackproof.scenarios.trace import read_trace

STEPS = 100_000


def shares_of(keys: Keys) -> dict[int, float]:
    """How often each rank is, over an even walk through [0, 1)."""
    seen = Counter(keys.rank((number + 0.5) / STEPS) for number in range(STEPS))
    return {rank: times / STEPS for rank, times in seen.items()}


class TestDistributions:
    def test_uniform_ranks_are_equally_frequent(self) -> None:
        shares = shares_of(Uniform(8))
        assert sorted(shares) == list(range(1, 9))
        assert all(share_ == pytest.approx(1 / 8, abs=1e-4) for share_ in shares.values())

    def test_hot_keys_get_their_share_and_the_others_the_rest(self) -> None:
        shares = shares_of(Hot(100, hot=4, share=0.8))
        assert sorted(shares) == list(range(1, 101))
        assert all(shares[rank] == pytest.approx(0.2, abs=1e-4) for rank in (1, 2, 3, 4))
        assert all(shares[rank] == pytest.approx(0.2 / 96, abs=1e-4) for rank in range(5, 101))

    @pytest.mark.parametrize("keys", [Uniform(7), Zipf(1_000, 1.1), Zipf(1, 1.0), Hot(7, 2, 0.9), Zipf(40_000, 0.0)])
    def test_no_uniform_number_leads_out_of_the_keys(self, keys: Keys) -> None:
        edges = [0.0, 5e-324, 0.5, 1 - 2**-53, *(slot / 16_384 for slot in range(0, 16_384, 37))]
        assert all(1 <= keys.rank(uniform) <= keys.size for uniform in edges)
        assert keys.rank(0.0) == 1
        assert keys.rank(1 - 2**-53) == keys.size

    def test_the_guide_of_a_zipf_table_changes_nothing(self) -> None:
        from bisect import bisect_left
        from itertools import accumulate

        table = list(accumulate(rank**-1.1 for rank in range(1, 5_001)))
        zipf = Zipf(5_000, exponent=1.1)
        walk = [*((number + 0.5) / 50_000 for number in range(50_000)), *(slot / 16_384 for slot in range(16_384))]
        assert all(zipf.rank(uniform) == bisect_left(table, uniform * table[-1]) + 1 for uniform in walk)

    def test_sizes_may_be_fixed(self) -> None:
        assert {Sizes.fixed(100).size(number / 100) for number in range(100)} == {100}

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Uniform(0),
            lambda: Zipf(10**9),
            lambda: Zipf(10, exponent=-1.0),
            lambda: Zipf(10, exponent=math.nan),
            lambda: Hot(10, hot=10),
            lambda: Hot(10, hot=0),
            lambda: Hot(10, share=1.0),
            lambda: Sizes(0, 5),
            lambda: Sizes(10, 5),
            lambda: Sizes(10, 70_000),
        ],
    )
    def test_what_is_no_distribution_is_refused(self, make: Any) -> None:
        with pytest.raises(ConfigurationError):
            make()

    def test_each_says_what_it_is(self) -> None:
        assert Uniform(3).describe() == {"distribution": "uniform", "size": 3}
        assert Zipf(3, 1.5).describe() == {"distribution": "zipf", "size": 3, "exponent": 1.5}
        assert Hot(3, 1, 0.5).describe() == {"distribution": "hot", "size": 3, "hot": 1, "share": 0.5}


MIX = Scenario("mix", [CacheGet(), Publish(), LogLine()], Uniform(10), Sizes.fixed(9), seed=1, weights=(6, 3, 1))


class TestScenario:
    def test_an_item_is_the_same_in_another_process(self) -> None:
        script = (
            "from stackproof.scenarios.catalogue import BUILT_IN\n"
            "print([s.item(n) for s in BUILT_IN for n in (0, 1, 987654321)])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str([s.item(n) for s in BUILT_IN for n in (0, 1, 987_654_321)])

    def test_decisions_are_what_they_have_always_been(self) -> None:
        item = DECISION.item(12_345)
        assert (item.key, item.offers, item.size) == (37, (1, 36), 500)
        assert item.event_id == "a914a244e98eb2046028997425a67445"

    def test_a_mix_has_its_weights(self) -> None:
        chosen = Counter(MIX.chosen(MIX.item(number)) for number in range(20_000))
        assert [chosen[step] / 20_000 for step in range(3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.02)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"name": "Two words"}, "needs a name"),
            ({"steps": []}, "has no steps"),
            ({"steps": ["publish"]}, "which is no Step"),
            ({"steps": [Publish(), Publish()]}, "different names"),
            ({"steps": [Publish(0)]}, "less than once"),
            ({"weights": (1.0, 2.0)}, "one weight above 0 for each step"),
            ({"weights": (0.0,)}, "one weight above 0 for each step"),
            ({"keys": 100}, "needs keys and sizes"),
        ],
    )
    def test_what_is_no_scenario_is_refused_in_one_sentence(self, changes: dict[str, Any], words: str) -> None:
        values = {"name": "x", "steps": [Publish()], "keys": Uniform(1), "sizes": Sizes.fixed(1), "seed": 1}
        with pytest.raises(ConfigurationError, match=words):
            Scenario(**{**values, **changes})

    def test_every_built_in_one_describes_itself_and_has_a_name_of_its_own(self) -> None:
        assert len({scenario.name for scenario in BUILT_IN}) == len(BUILT_IN)
        for scenario in BUILT_IN:
            assert scenario.about
            assert scenario.unit != "item"
            json.dumps(scenario.describe())


class TestSettings:
    def test_they_change_what_the_scenario_does(self) -> None:
        scenario = find_scenario("summaries", settings_of(["depth=500", "customers=20"]))
        assert scenario.settings == {"depth": 500, "customers": 20}
        assert scenario.keys.size == 20
        assert scenario.steps[0].depth == 500  # type: ignore[attr-defined]
        again = scenario.with_settings({"depth": 3})
        assert again.settings == {"depth": 3, "customers": 20}
        assert find_scenario("summaries").settings == {"depth": 100, "customers": 200}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("depth", "must look like NAME=VALUE"),
            ("=5", "must look like NAME=VALUE"),
            ("depth=", "must look like NAME=VALUE"),
            ("dept=5", "no setting 'dept'; it has depth, customers"),
            ("depth=0", "a whole number between 1 and 20000"),
            ("depth=1e9", "a whole number between 1 and 20000"),
            ("depth=2.5", "a whole number between 1 and 20000"),
            ("depth=many", "a whole number between 1 and 20000"),
        ],
    )
    def test_what_cannot_be_set_is_said_in_one_sentence(self, text: str, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words) as caught:
            find_scenario("summaries", settings_of([text]))
        assert "\n" not in str(caught.value)

    def test_given_twice_is_a_mistake(self) -> None:
        with pytest.raises(ConfigurationError, match="given twice"):
            settings_of(["depth=1", "depth=2"])

    def test_a_scenario_without_settings_says_so(self) -> None:
        with pytest.raises(ConfigurationError, match="it has none"):
            INGEST.with_settings({"depth": 1})

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "0x10", "1_0"])
    def test_numbers_that_are_none(self, value: str) -> None:
        with pytest.raises(ConfigurationError):
            Parameter("ttl", 1.0, 0.1, 5.0, "the life").read(value)


class TestFinding:
    def test_by_module_and_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "mine_of_test.py").write_text(
            "from stackproof.scenarios.catalogue import INGEST as MINE\nOTHER = 3\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        assert find_scenario("mine_of_test:MINE") is INGEST
        for name, words in {
            "mine_of_test:OTHER": "is a int, not a stackproof.scenarios.scenario.Scenario",
            "mine_of_test:NOTHING": "has no 'NOTHING'",
            "no_such_module:X": "there is no module 'no_such_module'",
        }.items():
            with pytest.raises(ConfigurationError, match=words) as caught:
                find_scenario(name)
            assert str(caught.value).startswith(f"--scenario {name}")

    def test_a_module_that_does_not_load_is_one_sentence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "broken_of_test.py").write_text("1 / 0\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigurationError, match="raised ZeroDivisionError"):
            find_scenario("broken_of_test:X")

    def test_those_of_installed_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        group = catalogue.ENTRY_POINT_GROUP
        point = EntryPoint("theirs", "stackproof.scenarios.catalogue:INGEST", group)
        wrong = EntryPoint("theirs-too", "stackproof.scenarios.catalogue:OFFERS", group)
        monkeypatch.setattr(catalogue, "entry_points", lambda group: [point, wrong])
        catalogue._of_packages.cache_clear()
        try:
            assert find_scenario("theirs") is INGEST
            with pytest.raises(ConfigurationError, match=r"theirs-too, stackproof\.scenarios.*is a Zipf"):
                find_scenario("theirs-too")
            with pytest.raises(ConfigurationError, match=r"cache-hot.*theirs, theirs-too"):
                find_scenario("nobodys")
            monkeypatch.setattr(catalogue, "entry_points", lambda group: [EntryPoint("ingest", "a:b", group)])
            catalogue._of_packages.cache_clear()
            with pytest.raises(ConfigurationError, match="the name of another scenario"):
                find_scenario("nobodys")
        finally:
            catalogue._of_packages.cache_clear()


class SimulatedClock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def starts(schedule: Schedule, end: float, stall: float = 0.0) -> list[tuple[int, float, float]]:
    """Number, due time and real start (from the beginning) of everything that is due; the client stalls at its 10th start."""
    clock, found = SimulatedClock(), []
    began = clock()

    def start(number: int, due: float) -> None:
        found.append((number, due - began, clock() - began))
        if len(found) == 10:
            clock.now += stall

    dispatch(schedule, end, clock=clock, sleep=clock.sleep, start=start)
    return found


def trace_file(directory: Path) -> Path:
    path = directory / "trace.csv"
    path.write_text("offset,what\n" + "".join(f"{5 + (number**1.5) / 100:.6f},x\n" for number in range(3_000)))
    return path


class TestArrivals:
    @pytest.fixture(params=["constant", "poisson", "step", "replay"])
    def whole(self, request: pytest.FixtureRequest, tmp_path: Path) -> Schedule:
        made = {
            "constant": lambda: Constant(700.0),
            "poisson": lambda: Poisson(700.0, seed=5),
            "step": lambda: Stepped(700.0, [(0.7, 1.0), (0.3, 3.0), (0.5, 0.0)]),
            "replay": lambda: Replay(700.0, read_trace(trace_file(tmp_path))),
        }
        return made[request.param]()

    def test_ten_workers_are_the_whole_without_a_lost_or_doubled_slot(self, whole: Schedule) -> None:
        alone = starts(whole, 4.0)
        rows = [row for k in range(10) for row in starts(share(whole, k, 10), 4.0, stall=0.5 if k == 3 else 0.0)]
        assert len(alone) > 1_000
        assert sorted((number, due) for number, due, _ in rows) == [(number, due) for number, due, _ in alone]
        assert [number for number, _, _ in alone] == list(range(len(alone)))
        late = {number % 10 for number, due, real in rows if real - due > 1e-6}
        assert late <= {3}, "who stalls makes nobody else late"
        by_worker = [starts(share(whole, k, 10), 4.0)[-1] for k in range(10)]
        assert all(real - due < 1e-6 for _, due, real in by_worker), "nothing drifts"

    def test_intended_starts_never_fall(self, whole: Schedule) -> None:
        due = [whole.intended(index) for index in range(2_500)]
        assert all(later >= earlier for earlier, later in pairwise(due))
        assert due[0] == 0.0

    def test_a_worker_that_is_none_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="no number 10"):
            share(Constant(1.0), 10, 10)

    def test_a_step_has_its_rates_by_time(self) -> None:
        schedule = schedule_of("step:10s@1,5s@3,5s@0", 100.0, 0)
        due = [schedule.intended(index) for index in range(5_000)]
        per_second = Counter(int(offset) for offset in due)
        assert [per_second[second] for second in (0, 9, 10, 14, 15, 19)] == [100, 100, 300, 300, 0, 0]
        assert [per_second[second] for second in (20, 30, 35)] == [100, 300, 0], "the stages come again"

    def test_a_replay_keeps_the_gaps_as_they_were_recorded(self, tmp_path: Path) -> None:
        path = trace_file(tmp_path)
        rate = natural_rate(f"replay:{path}")
        assert rate is not None
        schedule = schedule_of(f"replay:{path}", rate, 0)
        assert schedule.intended(0) == 0.0
        assert schedule.intended(2_999) == pytest.approx(2_999**1.5 / 100, abs=1e-5)
        assert schedule.intended(3_000) == math.inf
        twice = schedule_of(f"replay:{path}", 2 * rate, 0)
        assert twice.intended(2_999) == pytest.approx(schedule.intended(2_999) / 2)
        assert len(starts(twice, 1e9)) == 3_000
        assert natural_rate("poisson") is None

    def test_traces_as_json_lines_and_as_one_column(self, tmp_path: Path) -> None:
        lines, column = tmp_path / "t.jsonl", tmp_path / "t.txt"
        lines.write_text('{"offset": 1}\n\n{"offset": 1.5, "key": "x"}\n{"offset": 3}\n')
        column.write_text("1\n1.5\n3\n")
        assert list(read_trace(lines).offsets) == list(read_trace(column).offsets) == [0.0, 0.5, 2.0]
        assert read_trace(lines).rate == 1.0

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("t.csv", "", "at least two arrivals"),
            ("t.csv", "offset\n1\n", "at least two arrivals"),
            ("t.csv", "offset\n1\n1\n", "at different times"),
            ("t.csv", "offset\n2\n1\n", "line 3: the offset 1 lies before"),
            ("t.csv", "offset\n1\nnan\n", "line 3: an offset is a number of seconds, not 'nan'"),
            ("t.csv", "offset\n1\nsoon\n", "line 3: an offset is a number"),
            ("t.csv", "a,b\n1,2\n", "line 1: of several columns one must be called 'offset'"),
            ("t.csv", "a,offset\n1\n", "line 2: there is no column"),
            ("t.jsonl", '{"offset": 1}\n{"at": 2}\n', "line 2: .* is needed"),
            ("t.jsonl", '{"offset": 1}\n[', "line 2: this is no JSON"),
            ("t.jsonl", '{"offset": true}\n{"offset": 2}', "line 1: an offset is a number"),
        ],
    )
    def test_a_bad_trace_names_its_line(self, tmp_path: Path, name: str, text: str, words: str) -> None:
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=words) as caught:
            schedule_of(f"replay:{path}", 1.0, 0)
        assert "\n" not in str(caught.value)

    def test_what_is_no_plain_file_is_no_trace(self) -> None:
        with pytest.raises(ConfigurationError, match="is no plain file"):
            schedule_of("replay:/dev/zero", 1.0, 0)

    @pytest.mark.parametrize(
        "arrivals",
        [
            "",
            "step",
            "step:",
            "step:5s",
            "step:5s@x",
            "step:0s@1",
            "step:5s@0",
            "step:1.2.3s@1",
            "replay:",
            "constant:5",
        ],
    )
    def test_a_process_that_is_none_is_refused(self, arrivals: str) -> None:
        with pytest.raises(ConfigurationError):
            schedule_of(arrivals, 10.0, 0)

    def test_a_trace_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
            schedule_of(f"replay:{tmp_path / 'none.csv'}", 1.0, 0)


def test_what_several_workers_checked_is_put_together() -> None:
    whole = Checked()
    for lost, examples in ((1, ["a"]), (2, ["b"])):
        whole.add({"counts": {"reads": 5}, "measured": {"x": [1.0]}, "lost": lost, "examples": examples})
    assert whole.data == {"counts": {"reads": 10}, "measured": {"x": [1.0, 1.0]}, "lost": 3, "examples": ["a", "b"]}


def test_a_second_cache_read_needs_offers() -> None:
    from stackproof.scenarios.work import Work

    scenario = Scenario("x", [CacheRead(2)], Uniform(1), Sizes.fixed(1), seed=1)
    with pytest.raises(ConfigurationError, match="has no offers"):
        Work.on(scenario, {"cache": object()})


ROOT = Path(__file__).parent.parent


class TestExample:
    def test_it_is_found_and_offered_by_its_name(self) -> None:
        from stackproof.adapters.settings import Settings
        from stackproof.scenarios.work import Work

        scenario = find_scenario("examples.session_scenario:SESSIONS", settings_of(["visitors=20"]))
        assert scenario.keys.size == 20
        work = Work(scenario, {"cache": "memory"}, Settings({}), "example")
        work.prepare()
        for number in range(30):
            work.decide(work.item(number), lambda *_: None)
        work.settle()
        assert work.checks.to_data()["counts"] == {"sessions read again": 30}
        assert work.checks.clean
        assert work.close() == []

    def test_the_page_shows_it_as_it_is(self) -> None:
        code = (ROOT / "examples/session_scenario.py").read_text(encoding="utf-8")
        page = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
        assert code[code.index("from dataclasses") :] in page

    def test_the_page_knows_every_scenario_and_setting(self) -> None:
        rows = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8").splitlines()
        for scenario in BUILT_IN:
            [row] = [row for row in rows if row.startswith(f"| `{scenario.name}` |")]
            assert all(f"`{parameter.name}`" in row for parameter in scenario.parameters), scenario.name
            assert all(concern in row for concern in scenario.concerns), scenario.name
