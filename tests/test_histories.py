"""The checkers of histories: the hand-labelled corpus, properties, an oracle that tries every order, cost and budget."""

from __future__ import annotations

import itertools
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackproof.contracts.callers import Callers
from stackproof.contracts.histories import (
    HistoryVerdict,
    Judgement,
    Operation,
    Outcome,
    Recorder,
    check_counter,
    check_queue,
    check_register,
    check_visibility,
    overlapping,
    overlapping_pairs,
)
from stackproof.interfaces import Delivery, Event, IndeterminateError, Order, UnavailableError

CORPUS = Path(__file__).parent / "histories"
CHECKERS: dict[str, Any] = {
    "register": check_register,
    "queue": check_queue,
    "counter": check_counter,
    "visibility": check_visibility,
}
READS = {"register": "get", "counter": "read", "visibility": "search"}


def labelled(checker: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CORPUS / f"{checker}.json").read_text(encoding="utf-8"))
    return found


def operations(row: dict[str, Any]) -> list[Operation]:
    return [Operation.from_json(each) for each in row["operations"]]


def options(row: dict[str, Any]) -> dict[str, Any]:
    given = dict(row.get("options", {}))
    if "order" in given:
        given["order"] = Order(given["order"])
    if "delivery" in given:
        given["delivery"] = Delivery(given["delivery"])
    return given


ROWS = [pytest.param(checker, row, id=f"{checker}: {row['name']}") for checker in CHECKERS for row in labelled(checker)]


# The corpus


def test_the_corpus_is_large_enough_and_each_history_has_its_reason() -> None:
    rows = [row for checker in CHECKERS for row in labelled(checker)]
    for label in ("valid", "invalid"):
        assert sum(row["label"] == label for row in rows) >= 40
    assert all(row["reason"] for row in rows)
    for checker in CHECKERS:
        names = [row["name"] for row in labelled(checker)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(("checker", "row"), ROWS)
def test_the_checker_agrees_with_the_label(checker: str, row: dict[str, Any]) -> None:
    verdict = CHECKERS[checker](operations(row), **options(row))
    assert str(verdict.judgement) == row["label"], verdict.explanation()
    assert verdict.argument
    if "rule" in row:
        assert verdict.rule == row["rule"]


@pytest.mark.parametrize(("checker", "row"), [each for each in ROWS if each.values[1]["label"] == "invalid"])
def test_a_bad_part_is_small_rejected_by_itself_and_explained(checker: str, row: dict[str, Any]) -> None:
    history = operations(row)
    verdict = CHECKERS[checker](history, **options(row))
    assert 0 < len(verdict.bad_part) <= 6
    assert set(verdict.bad_part) <= set(history)
    assert CHECKERS[checker](verdict.bad_part, **options(row)).invalid
    for operation in verdict.bad_part:
        assert str(operation) in verdict.explanation()


@pytest.mark.parametrize(("checker", "row"), ROWS)
def test_an_answer_does_not_depend_on_the_order_of_recording(checker: str, row: dict[str, Any]) -> None:
    history = operations(row)
    random.Random(1).shuffle(history)
    assert str(CHECKERS[checker](history, **options(row)).judgement) == row["label"]


@pytest.mark.parametrize(("checker", "row"), ROWS)
def test_an_operation_survives_its_json_form(checker: str, row: dict[str, Any]) -> None:
    for operation in operations(row):
        assert Operation.from_json(json.loads(json.dumps(operation.to_json()))) == operation


# Properties


@st.composite
def register_histories(draw: st.DrawFn, most: int = 7) -> list[Operation]:
    """Random operations on one register by up to three callers; many are bad."""
    found: list[Operation] = []
    clocks = [0, 0, 0]
    for number in range(draw(st.integers(1, most))):
        process = draw(st.integers(0, 2))
        start = clocks[process] + draw(st.integers(1, 4))
        end = start + draw(st.integers(0, 6))
        clocks[process] = end
        kind = draw(st.sampled_from(["set", "set", "get", "get", "delete"]))
        outcome = draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.OK, Outcome.INDETERMINATE, Outcome.FAIL]))
        result: Any = None
        if kind == "get":
            result = draw(st.sampled_from([None, *range(number + 1)]))
        elif kind == "delete":
            result = draw(st.sampled_from([True, False, None]))
        value = draw(st.sampled_from([number, number, 0])) if kind == "set" else None
        made = Operation(
            kind=kind, key="k", process=process, start=start, end=end, outcome=outcome, value=value, result=result
        )
        found.append(made)
    return found


@st.composite
def good_register_histories(draw: st.DrawFn, most: int = 12) -> list[Operation]:
    """What a correct register answers: each operation takes effect at an instant within its interval."""
    found: list[Operation] = []
    state: int | None = None
    for instant in range(1, draw(st.integers(2, most)) + 1):
        start, end = instant - draw(st.integers(0, 4)), instant + draw(st.integers(0, 4))
        kind = draw(st.sampled_from(["set", "get", "get", "delete"]))
        result: Any = {"get": state, "delete": state is not None, "set": None}[kind]
        state = {"get": state, "delete": None, "set": instant}[kind]
        value = instant if kind == "set" else None
        found.append(Operation(kind=kind, key="k", process=instant, start=start, end=end, value=value, result=result))
    return found


def some_order_explains(history: Sequence[Operation]) -> bool:
    """The definition itself: try every order of every choice of the uncertain operations."""
    certain = [each for each in history if each.outcome is Outcome.OK]
    uncertain = [each for each in history if each.outcome is Outcome.INDETERMINATE and each.kind != "get"]
    for number in range(len(uncertain) + 1):
        for chosen in itertools.combinations(uncertain, number):
            if any(_explains(order) for order in itertools.permutations([*certain, *chosen])):
                return True
    return False


def _explains(order: Sequence[Operation]) -> bool:
    state: Any = None
    for place, operation in enumerate(order):
        if any(later.outcome is Outcome.OK and later.end < operation.start for later in order[place + 1 :]):
            return False
        if operation.outcome is Outcome.OK:
            if operation.kind == "get" and operation.result != state:
                return False
            if operation.kind == "delete" and operation.result not in (None, state is not None):
                return False
        state = {"get": state, "set": operation.value, "delete": None}[operation.kind]
    return True


@settings(max_examples=400, deadline=None, derandomize=True)
@given(register_histories(most=6))
def test_the_register_checker_agrees_with_trying_every_order(history: list[Operation]) -> None:
    assert check_register(history).invalid is not some_order_explains(history)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(register_histories())
def test_a_bad_part_of_a_register_proves_the_whole_and_cannot_be_smaller(history: list[Operation]) -> None:
    verdict = check_register(history)
    if not verdict.invalid:
        return
    part = list(verdict.bad_part)
    assert not some_order_explains(part)
    assert "contradiction" in verdict.argument
    for operation in part:
        rest = [each for each in part if each is not operation]
        if operation.kind == "get":
            assert not check_register(rest).invalid, "a read is left that is not needed"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(good_register_histories(), st.data())
def test_a_good_register_stays_good_without_a_read_and_with_a_wider_interval(
    history: list[Operation], data: st.DataObject
) -> None:
    assert not check_register(history).invalid
    _stays_good("register", history, {}, data)


GOOD = [each.values for each in ROWS if each.values[1]["label"] == "valid" and each.values[0] in READS]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(GOOD), st.data())
def test_a_good_history_of_the_corpus_stays_good_without_a_read_and_with_a_wider_interval(
    chosen: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    checker, row = chosen
    _stays_good(checker, operations(row), options(row), data)


def _stays_good(checker: str, history: list[Operation], given: dict[str, Any], data: st.DataObject) -> None:
    reads = [each for each in history if each.kind == READS[checker]]
    check = partial(CHECKERS[checker], **given)
    before: HistoryVerdict = check(history)
    if reads:
        gone = data.draw(st.sampled_from(reads))
        without: HistoryVerdict = check([each for each in history if each is not gone])
        assert not without.invalid
        if before.valid and without.judgement is Judgement.UNKNOWN:
            assert "ever" in without.argument or "no read" in without.argument  # it was the only evidence
    place = data.draw(st.integers(0, len(history) - 1))
    wide = history[place]
    wider = replace(wide, start=wide.start - data.draw(st.integers(0, 9)), end=wide.end + data.draw(st.integers(0, 9)))
    assert not check([*history[:place], wider, *history[place + 1 :]]).invalid


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from([each.values for each in ROWS if each.values[0] == "queue"]), st.data())
def test_a_good_queue_stays_good_when_a_publish_is_uncertain(
    chosen: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    """An event that may or may not have been accepted demands nothing."""
    _, row = chosen
    history = operations(row)
    published = [each for each in history if each.kind == "publish" and each.ok]
    if row["label"] != "valid" or not published:
        return
    made = data.draw(st.sampled_from(published))
    uncertain = replace(made, outcome=Outcome.INDETERMINATE)
    assert not check_queue([uncertain if each is made else each for each in history], **options(row)).invalid


# Cost and budget


def simulated(number: int, keys: int, callers: int, seed: int) -> list[Operation]:
    """What a correct store of registers answers to callers that overlap."""
    rng = random.Random(seed)
    state: dict[str, int] = {}
    found: list[Operation] = []
    for instant in range(number):
        key = f"k{rng.randrange(keys)}"
        kind = rng.choice(["get", "get", "set", "delete"])
        result: Any = {"get": state.get(key), "delete": key in state, "set": None}[kind]
        if kind == "set":
            state[key] = instant
        elif kind == "delete":
            state.pop(key, None)
        spread = rng.random() * callers * keys / 4
        found.append(
            Operation(
                kind=kind,
                key=key,
                process=instant % callers,
                start=instant - spread,
                end=instant + spread,
                value=instant if kind == "set" else None,
                result=result,
            )
        )
    return found


def test_ten_thousand_operations_over_five_hundred_keys_take_less_than_ten_seconds() -> None:
    history = simulated(10_000, 500, callers=8, seed=3)
    assert overlapping_pairs(history) > 5_000
    began = time.monotonic()
    assert check_register(history).valid
    good_seconds = time.monotonic() - began
    reads = [n for n, each in enumerate(history) if each.kind == "get" and each.result is not None]
    history[reads[-1]] = replace(history[reads[-1]], result=-1)
    began = time.monotonic()
    verdict = check_register(history)
    assert verdict.invalid
    assert len(verdict.bad_part) == 1
    assert good_seconds < 10
    assert time.monotonic() - began < 10


def test_one_key_with_thousands_of_operations_is_checked_and_its_bad_part_is_small() -> None:
    history = simulated(2_000, 1, callers=8, seed=4)
    began = time.monotonic()
    assert check_register(history).valid
    last = max(each.end for each in history) + 1
    history.append(Operation(kind="get", key="k0", process=9, start=last, end=last + 1, result="old"))
    history.append(Operation(kind="set", key="k0", process=9, start=-9999, end=-9998, value="old"))
    verdict = check_register(history)
    assert verdict.invalid
    assert len(verdict.bad_part) <= 4
    assert time.monotonic() - began < 20


def test_a_hard_history_ends_in_unknown_and_not_in_hours() -> None:
    writes = [Operation(kind="set", key="k", process=n, start=0, end=99, value=n) for n in range(24)]
    reads = [Operation(kind="get", key="k", process=90 + n, start=0, end=99, result=n % 24) for n in range(24)]
    late = [Operation(kind="get", key="k", process=99, start=100 + 2 * n, end=101 + 2 * n, result=n) for n in (0, 1)]
    began = time.monotonic()
    verdict = check_register([*writes, *reads, *late], steps=50_000)
    assert verdict.judgement is Judgement.UNKNOWN
    assert "budget" in verdict.argument
    assert time.monotonic() - began < 10


def test_a_hard_key_does_not_hide_a_bad_one() -> None:
    hard = [Operation(kind="set", key="hard", process=n, start=0, end=99, value=n) for n in range(24)]
    hard += [
        Operation(kind="get", key="hard", process=99, start=100 + 2 * n, end=101 + 2 * n, result=n) for n in (0, 1)
    ]
    bad = [Operation(kind="get", key="late", process=1, start=200, end=201, result=5)]
    assert check_register([*hard, *bad], steps=20_000).invalid


@pytest.mark.parametrize("checker", CHECKERS)
def test_every_checker_has_a_budget(checker: str) -> None:
    row = next(row for row in labelled(checker) if row["label"] == "valid")
    verdict = CHECKERS[checker](operations(row), steps=1)
    assert verdict.judgement is Judgement.UNKNOWN
    assert "budget" in verdict.argument


def test_the_other_checkers_judge_ten_thousand_operations_in_seconds() -> None:
    began = time.monotonic()
    records = [Operation(kind="record", key=f"k{n % 500}", start=n, end=n + 3, value=n) for n in range(9_500)]
    sums = [Operation(kind="read", key=f"k{n}", start=20_000, end=20_001, result=19) for n in range(500)]
    assert check_counter([*records, *sums]).valid
    published = [Operation(kind="publish", key="", start=n, end=n + 0.5, value=n) for n in range(5_000)]
    delivered = [
        Operation(kind="deliver", key="", process=1, start=n + 0.6, end=n + 0.7, value=n) for n in range(5_000)
    ]
    subscribed = Operation(kind="subscribe", key="", process=1, start=-2, end=-1)
    assert check_queue([subscribed, *published, *delivered], order=Order.TOTAL).valid
    indexed = [Operation(kind="index", key=f"d{n % 500}", start=n, end=n + 0.5, value=n) for n in range(5_000)]
    found = [Operation(kind="search", key=f"d{n % 500}", start=n + 0.6, end=n + 0.7, result=n) for n in range(5_000)]
    assert check_visibility([*indexed, *found]).valid
    assert time.monotonic() - began < 10


# What no checker takes


@pytest.mark.parametrize("checker", CHECKERS)
def test_an_unknown_kind_of_operation_is_an_error(checker: str) -> None:
    with pytest.raises(ValueError, match="increment"):
        CHECKERS[checker]([Operation(kind="increment", key="k", start=0, end=1)])


def test_an_operation_cannot_end_before_it_began() -> None:
    with pytest.raises(ValueError, match="before it began"):
        Operation(kind="get", key="k", start=2, end=1)
    with pytest.raises(ValueError, match="indeterminate"):
        Operation(kind="get", key="k", start=2)


# Recording


def ticking() -> Iterator[float]:
    return itertools.count(0.0, 1.0)  # type: ignore[return-value]


def raising(error: Exception) -> Any:
    raise error


def test_the_recorder_writes_down_how_each_call_ended() -> None:
    clock = ticking()
    recorder = Recorder(clock=lambda: next(clock))
    stored: dict[str, Any] = {}
    recorder.call("set", "k", lambda: stored.update(k=1), process=1, value=1)
    recorder.call("get", "k", lambda: stored["k"], process=2, answer=lambda found: found)
    recorder.call("set", "k", lambda: raising(IndeterminateError("lost")), process=1, value=2)
    recorder.call("set", "k", lambda: raising(UnavailableError("away")), process=1, value=3)
    with pytest.raises(ZeroDivisionError):
        recorder.call("set", "k", lambda: 1 // 0, process=1, value=4)
    history = recorder.history()
    assert [each.outcome for each in history] == [
        Outcome.OK,
        Outcome.OK,
        Outcome.INDETERMINATE,
        Outcome.FAIL,
        Outcome.INDETERMINATE,
    ]
    assert history[1].result == 1
    assert all(earlier.end < later.start for earlier, later in itertools.pairwise(history))
    assert check_register(history).valid


def test_a_call_that_still_runs_is_in_the_history_without_an_end() -> None:
    recorder = Recorder()
    seen: list[Operation] = []
    recorder.call("set", "k", lambda: seen.extend(recorder.history()), process=1, value=1)
    assert [(each.end, each.outcome) for each in seen] == [(math.inf, Outcome.INDETERMINATE)]
    assert len(recorder.history()) == 1


def test_handler_calls_are_recorded_with_their_failures() -> None:
    recorder = Recorder()
    event = Event(type="test.happened.v1", payload={}, key="x", event_id="a")
    recorder.handler(7)(event)
    with pytest.raises(ValueError, match="not today"):
        recorder.handler(7, lambda _: raising(ValueError("not today")))(event)
    assert [(each.process, each.key, each.value, each.ok) for each in recorder.history()] == [
        (7, "x", "a", True),
        (7, "x", "a", False),
    ]


def test_overlap_is_measured() -> None:
    recorder, callers = Recorder(), Callers()
    slow = [
        partial(recorder.call, "get", "k" if n < 3 else "other", partial(time.sleep, 0.1), process=n) for n in range(4)
    ]
    callers.each(slow)
    assert overlapping(recorder.history()) == 4
    assert overlapping_pairs(recorder.history()) == 3
    apart = [Operation(kind="get", key="k", start=2 * n, end=2 * n + 1) for n in range(3)]
    assert (overlapping(apart), overlapping_pairs(apart)) == (1, 0)


def test_the_argument_can_be_followed() -> None:
    row = next(each for each in labelled("register") if each["name"] == "stale read")
    text = check_register(operations(row)).explanation()
    assert "1 was written once" in text
    assert "contradiction" in text
    assert "process 2: get 'k' -> 1" in text
