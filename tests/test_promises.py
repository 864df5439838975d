"""A promise of latency over the windows of a run: each is judged by itself, and they are counted."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from bench_samples import FACTS, LOAD, judged, offered, recorded, self_check_of
from rich.console import Console

from stackproof.commands.bench_run import _exit_code
from stackproof.exits import Exit
from stackproof.measurement.comparable import run_of as run_of_record
from stackproof.measurement.judgement import measurement_of, window_of
from stackproof.measurement.promises import Promise, PromiseResult, judged_over
from stackproof.measurement.record import MEASURED, Measurement, from_json, to_json
from stackproof.measurement.standing import Standing, standing_of
from stackproof.reports.measurement import _figures, render
from stackproof.reports.measurement_terminal import LoadView, _print_figures, load_in_words, promise_in_words
from stackproof.scenarios.catalogue import DECISION
from stackproof.scenarios.orders import BACKENDS
from stackproof.scenarios.recorder import Recorder

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "stackproof/measurement/measurement.schema.json").read_text(encoding="utf-8")
)
PROMISE = Promise(99.0, 20.0)


def windows(*seconds: float) -> list[Recorder]:
    return [recorded(600, seconds=each) for each in seconds]


def run_of(parts: Sequence[Recorder]) -> Measurement:
    check = self_check_of()
    seen = [window_of(MEASURED, offered(part), check) for part in parts]
    facts = replace(FACTS, load={**LOAD, "repeat": len(seen)})
    return measurement_of(DECISION, check, seen, facts, [PROMISE], planned=len(seen))


def test_windows_of_which_half_missed_it_do_not_add_up_to_one_that_held() -> None:
    """A few slow operations break the p99 of two windows, and are below one in a hundred of the sum."""
    mixed = windows(0.003, 0.003, 0.003, 0.004)
    for window, seconds in zip(mixed[1:3], (0.03, 0.031), strict=True):
        window.merge(recorded(9, seconds=seconds))
    result = run_of(mixed)
    assert result.latency["counted"].p99 < 20.0
    [promise] = result.slo
    assert (promise.verdict, promise.missed, promise.windows) == ("unknown", 2, 4)
    assert _exit_code(result) is Exit.INCONCLUSIVE
    assert standing_of(result).word == "NOT KNOWN"
    text = io.StringIO()
    _print_figures(result, Console(file=text, width=200))
    assert "p99 within 20 ms: cannot be told: 2 of 4 windows missed it (3.50 ms to 31." in text.getvalue()
    assert "cannot be told: 2 of 4 windows missed it" in render(result)
    jsonschema.validate(json.loads(to_json(result)), SCHEMA)
    assert from_json(to_json(result)).slo == result.slo


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        ([0.003, 0.004], "held"),
        ([0.03, 0.04], "missed"),
        ([0.003, 0.03], "unknown"),
        ([0.003] * 3 + [0.03], "unknown"),
        # Four of five: as many as a search asks for, but the interval of the median reaches to the one.
        ([0.003, 0.0031, 0.0032, 0.0033, 0.03], "unknown"),
        ([0.003 + 0.0001 * n for n in range(8)] + [0.03], "held"),
        ([0.03 + 0.0001 * n for n in range(8)] + [0.003], "missed"),
        # A quarter missed it: the median is surely within, and a promise that every fourth window breaks is not kept.
        ([0.003 + 0.0001 * n for n in range(15)] + [0.03] * 6, "unknown"),
    ],
)
def test_windows_that_disagree_need_four_to_one_and_an_interval_on_one_side(seconds: list[float], verdict: str) -> None:
    assert judged_over(PROMISE, windows(*seconds)).verdict == verdict


def test_what_was_never_answered_is_as_late_as_can_be() -> None:
    result = judged_over(PROMISE, [recorded(600), recorded(600, dropped=300)])
    assert (result.verdict, result.missed, result.most_ms) == ("unknown", 1, None)
    assert promise_in_words(result) == ("cannot be told: 1 of 2 windows missed it", "4.50 ms to never reached")


def test_windows_that_are_too_short_for_the_percentile_are_not_put_together() -> None:
    result = judged_over(PROMISE, [recorded(300), recorded(300)])
    assert result.verdict == "unknown"
    assert promise_in_words(result)[1].startswith("too few operations in a window")


def test_one_window_is_told_as_it_was() -> None:
    assert promise_in_words(judged_over(PROMISE, windows(0.003))) == ("held", "3.50 ms")
    assert promise_in_words(judged_over(PROMISE, [recorded(600, dropped=300)])) == ("missed", "never reached")
    assert promise_in_words(PromiseResult(99.0, 20.0, None, "unknown")) == ("cannot be told", "too few operations")
    assert promise_in_words(judged_over(PROMISE, windows(0.003, 0.004)))[0] == "held in each of 2 windows"


def test_the_figure_that_a_page_is_read_for_counts_what_was_never_answered() -> None:
    figures = dict(row[:2] for row in _figures(run_of([recorded(900, dropped=100)])))
    assert figures["p99 from the intended start"] == "never"


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (False, False)])
def test_a_run_of_which_a_part_was_not_checked_is_headed_so_everywhere(first: bool, second: bool) -> None:
    """As one is that was gone on with: each part vouches for its own windows only."""
    checked = self_check_of()
    checks = [checked if each else {**checked, "stub": None} for each in (first, second)]
    seen = [window_of(MEASURED, offered(recorded(600)), check) for check in checks]
    facts = replace(FACTS, load={**LOAD, "repeat": 2})
    result = measurement_of(DECISION, checks[1], seen, facts, [PROMISE], planned=2, earlier=checks[:1])
    assert not result.invalid
    shown = standing_of(result)
    assert (shown.word, shown.standing) == ("UNCHECKED", Standing.UNKNOWN)
    assert ">UNCHECKED</span>" in render(result)
    assert not run_of_record(result).checked
    missed = replace(result, slo=judged(recorded(600), promise="p99=1ms").slo)
    assert standing_of(missed).word == "MISSED"
    assert standing_of(missed).meaning.endswith("not to be published.")


def test_rates_read_alike_and_windows_that_a_search_made_longer_have_all_their_lengths() -> None:
    result = run_of(windows(0.003, 0.003, 0.003))
    result = replace(result, load={**result.load, "rate": 4160.0, "repeat": 3, "duration": 10.0})
    assert load_in_words(result) == "at 4,160/s (constant) for 3 x 10 s"
    longer = [
        replace(one, order={**one.order, "seconds": length})
        for one, length in zip(result.windows, (4.0, 4.4, 4.0), strict=True)
    ]
    assert load_in_words(replace(result, windows=tuple(longer))) == "at 4,160/s (constant) for 3 x 4 to 4.4 s"


def test_eighty_columns_show_how_long_a_run_still_takes() -> None:
    view = LoadView(Console(file=io.StringIO(), width=80), windows=10)
    view(
        {
            "phase": "load", "target": BACKENDS, "seconds": 4.0, "left": 21.0, "rate": 4160.0, "offered": 16_640,
            "ok": 16_640, "late": 0, "p99": 0.0123, "failed": 0, "dropped": 0,
        }
    )  # fmt: skip
    assert view.picture().plain.splitlines() == [
        "measuring 1 of 10   21 s left",
        "offered 4,160/s   done 4,160.0/s   p99 12.3 ms   failed 0   dropped 0",
    ]
