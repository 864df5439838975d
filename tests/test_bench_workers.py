"""Workers of other machines: what to type there, who may take part, how each is calibrated, and what is kept of them."""

from __future__ import annotations

import io
import json
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jsonschema
import psutil
import pytest
from bench_samples import ORDER, judged, offered, recorded
from calibration_samples import closed, opened
from rich.console import Console
from test_calibrating import Simulated

import stackproof
from stackproof.commands.bench_load import self_check
from stackproof.commands.bench_workers import machines_of, reachable, say_waiting, typed
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.calibrating import calibrate_each
from stackproof.measurement.calibration import of_workers, quick_form
from stackproof.measurement.environment import read_environment
from stackproof.measurement.evidence import Evidence, WorkerMachine, from_json, same_evidence, terms, to_json
from stackproof.reports.evidence import evidence_section
from stackproof.reports.json_page import FORMS
from stackproof.reports.measurement import render
from stackproof.scenarios.alone import Alone, Introduced
from stackproof.scenarios.orders import NULL, STUB, Offered, Order
from stackproof.scenarios.stub import Injection
from stackproof.verification.digests import package_digest

Address = namedtuple("Address", ("family", "address"))
INTERFACES = {
    "lo": [Address(2, "127.0.0.1"), Address(10, "::1")],
    "eth0": [Address(2, "10.0.0.5"), Address(10, "fe80::1%eth0"), Address(10, "2001:db8::5"), Address(17, "00:00")],
    "vpn": [Address(2, "192.168.7.1")],
}


def worker(native: bool = False, **about: Any) -> Introduced:
    known = {"build": package_digest(), "environment": read_environment().to_data()}
    return Introduced(stackproof.__version__, native, known | about)


class TestAddresses:
    @pytest.fixture(autouse=True)
    def _interfaces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(psutil, "net_if_addrs", lambda: INTERFACES)

    def test_an_address_that_can_be_typed_is_told_for_one_that_stands_for_all(self) -> None:
        assert reachable("0.0.0.0") == reachable("*") == ["10.0.0.5", "192.168.7.1"]
        assert reachable("::") == ["2001:db8::5"]
        assert reachable("10.0.0.9") == ["10.0.0.9"]
        assert reachable("bench.internal") == ["bench.internal"]
        assert typed("2001:db8::5", 5557) == "[2001:db8::5]:5557"

    def test_a_machine_without_a_network_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"lo": INTERFACES["lo"]})
        assert reachable("0.0.0.0") == ["the address of this machine"]

    def test_what_has_to_be_typed(self) -> None:
        said = io.StringIO()
        say_waiting(("0.0.0.0", 5557), 4, "native", Console(file=said, width=200))
        assert "4 workers; type there: stackproof worker --master 10.0.0.5:5557 --native\n" in said.getvalue()
        assert "also 192.168.7.1:5557" in said.getvalue()
        assert "0.0.0.0" not in said.getvalue()


class TestWhoMayTakePart:
    def test_equal_ones_may(self) -> None:
        first, second = machines_of([worker(), worker()], "green")
        assert (first.version, first.build) == (stackproof.__version__, package_digest())
        assert second.environment == read_environment_like(second)
        assert machines_of([worker(native=True)], "native")
        assert machines_of([], "green") == ()

    @pytest.mark.parametrize(
        ("other", "engine", "said"),
        [
            (Introduced("", native=False, about={}), "green", "worker 2 runs stackproof of another release, not"),
            (Introduced("0.0.1", native=False, about={}), "green", "worker 2 runs stackproof 0.0.1, not"),
            (worker(build="b" * 64), "green", "from another source than this machine .digest bbbbbbbbbbbb, here"),
            (worker(native=True), "green", "was started with --native, which is for Kafka and CQL only"),
        ],
    )
    def test_others_may_not(self, other: Introduced, engine: str, said: str) -> None:
        with pytest.raises(ConfigurationError, match=said) as caught:
            machines_of([worker(), other], engine)
        assert "\n" not in str(caught.value)

    def test_a_green_worker_may_not_where_drivers_bring_their_threads(self) -> None:
        with pytest.raises(ConfigurationError, match="worker 1 was started without --native, which Kafka and CQL need"):
            machines_of([worker()], "native")


def read_environment_like(machine: WorkerMachine) -> Any:
    """The environment of this machine, with the load that the worker had seen."""
    return replace(read_environment(), load=machine.environment.load)


NULL_ORDER = Order(200.0, 1.0, target=NULL)


class TestCalibration:
    def test_each_is_judged_by_its_own_stub_and_one_that_is_wrong_spoils_all(self) -> None:
        verdicts = calibrate_each([Simulated(), Simulated(closed), Simulated()], quick_form(200.0), NULL_ORDER)
        assert [verdict.trusted for verdict in verdicts] == [True, False, True]
        found = of_workers(verdicts)
        assert not found["trusted"]
        assert [row["trusted"] for row in found["by_worker"]] == [True, False, True]
        assert found["reasons"]
        assert all(reason.startswith("worker 2: ") for reason in found["reasons"])

    def test_the_rate_is_shared_and_the_null_step_is_offered_by_all_together(self) -> None:
        workers, together = [Simulated(), Simulated()], Simulated()
        check = self_check(together.offer, replace(ORDER, rate=800.0), None, workers)  # type: ignore[arg-type]
        assert check["stub"]["trusted"]
        assert len(check["stub"]["by_worker"]) == 2
        assert {order.rate for each in workers for order in each.orders} == {400.0}
        assert together.orders == []

    def test_without_workers_of_other_machines_nothing_changes(self) -> None:
        assert self_check(Simulated().offer, ORDER, None)["stub"] is None

    def test_its_record_is_described_and_shown(self) -> None:
        verdicts = calibrate_each([Simulated(), Simulated(opened)], quick_form(200.0), NULL_ORDER)
        made = judged(recorded(1_000))
        made = replace(made, calibration={**made.calibration, "stub": of_workers(verdicts)})
        form = next(form for form in FORMS if form.name == "measurement")
        from stackproof.measurement.record import to_json as record_json

        jsonschema.validate(json.loads(record_json(made)), form.schema())
        assert "Self-check" in render(made) or "stub" in render(made)


class AskedSession:
    """A session that answers from a list, and remembers what it was asked."""

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[int | None, Any]] = []

    def ask_one(self, number: int, message: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((number, message))
        return self.answers.pop(0)

    def offer(self, order: Order, only: int | None = None) -> Offered:
        self.asked.append((only, order))
        return offered(recorded(10), order=order)


def test_a_worker_alone_is_asked_by_its_number() -> None:
    truth = Simulated()
    order = Order(200.0, 1.0, target=STUB)
    truth.inject(Injection(0.002))
    truth.offer(order)
    session = AskedSession({}, {"truth": truth.truth().to_data()})
    alone = Alone(session, 3)  # type: ignore[arg-type]
    alone.inject(Injection(0.002))
    alone.offer(order)
    assert alone.truth().to_data() == truth.truth().to_data()
    assert [number for number, _ in session.asked] == [3, 3, 3]
    assert session.asked[0][1] == {"do": "inject", "injection": Injection(0.002).to_data()}


class TestEvidence:
    def evidence(self, *cores: int) -> Evidence:
        here = replace(read_environment(), unknown={})
        workers = [WorkerMachine("1", "b" * 64, replace(here, cores=number, load=9.0)) for number in cores]
        return Evidence(here, (), (), tuple(workers))

    def test_through_json_and_back_as_the_schema_says(self) -> None:
        found = self.evidence(2, 4)
        assert from_json(to_json(found)) == found
        form = next(form for form in FORMS if form.name == "evidence")
        jsonschema.validate(json.loads(to_json(found)), form.schema())

    def test_evidence_of_earlier_builds_has_none(self) -> None:
        data = json.loads(to_json(self.evidence()))
        del data["workers"]
        assert from_json(json.dumps(data)).workers == ()

    def test_other_machines_of_workers_are_other_evidence(self) -> None:
        assert same_evidence(self.evidence(2, 4), self.evidence(2, 4)) == ()
        assert same_evidence(self.evidence(2, 4), self.evidence(2, 8)) == (
            "worker 2: the number of usable cores differs: 4 and 8",
        )
        assert same_evidence(self.evidence(2), self.evidence(2, 2)) == ("1 and 2 workers of other machines took part",)
        assert terms(self.evidence(2, 4)).machine["cores of worker 2"] == "4"

    def test_the_page_shows_each(self) -> None:
        page = render(judged(recorded(1_000)), self.evidence(2, 4))
        assert "Worker 2 of 2" in page
        assert "Worker 1: The machine was busy before the run began" in page
        assert len(evidence_section(self.evidence(2, 4)).workers) == 2
