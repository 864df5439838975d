"""`stackproof verify --check`: forged certificates are refused with their reason, outdated ones are told from current ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import certificate_samples as samples
import jsonschema
import pytest
from command_line import stackproof

from stackproof.adapters.registry import BUILT_IN
from stackproof.kept_json import seal_of
from stackproof.measurement.environment import DRIVERS
from stackproof.shape import misshapen
from stackproof.verification.certificate import to_json
from stackproof.verification.environment import needed_drivers
from stackproof.verification.installed import installed_for
from stackproof.verification.soundness import Finding, Installed, Kind, check

Forgery = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate as the command writes it: one backend without a server, all clauses of the core."""
    place = tmp_path_factory.mktemp("genuine")
    done = stackproof("verify", "--backend", "events=memory", "--out", "run", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    return (place / "run" / "certificate.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def installed(genuine: str) -> Installed:
    return installed_for([(target["target"], target["backend"]) for target in json.loads(genuine)["targets"]])


def forged(text: str, change: Forgery, *, sealed: bool = True) -> str:
    """The certificate with one change, under a seal that fits: so that the seal is not all that refuses it."""
    data = copy.deepcopy(json.loads(text))
    change(data)
    if sealed:
        data["seal"] = seal_of(data)
    return json.dumps(data)


def sentences(findings: list[Finding], kind: Kind = Kind.FORGED) -> list[str]:
    return [finding.sentence for finding in findings if finding.kind is kind]


def row(data: dict[str, Any], clause: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in data["clauses"] if row["clause"] == clause)
    return found


def recount(data: dict[str, Any]) -> None:
    verdicts = [row["verdict"] for row in data["clauses"]]
    data["counts"] = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}


# What a forger would do. Each leaves counts and seal in order, where those are not the forgery.


def no_results(data: dict[str, Any]) -> None:
    data["clauses"] = []
    recount(data)


def half_of_the_results(data: dict[str, Any]) -> None:
    data["clauses"] = data["clauses"][: len(data["clauses"]) // 2]
    recount(data)


def one_result_fewer(data: dict[str, Any]) -> None:
    data["clauses"].remove(row(data, "EVENT-05"))
    recount(data)


def two_verdicts(data: dict[str, Any]) -> None:
    data["clauses"].append({**row(data, "EVENT-01"), "verdict": "INCONCLUSIVE", "reason": "too little evidence"})
    recount(data)
    data["level"] = "INCONCLUSIVE"


def an_unknown_id(data: dict[str, Any]) -> None:
    data["clauses"].append({**row(data, "EVENT-01"), "clause": "EVENT-99"})
    recount(data)


def no_evidence(data: dict[str, Any]) -> None:
    row(data, "EVENT-01")["evidence"] = dict.fromkeys(row(data, "EVENT-01")["evidence"], 0)


def less_demanded(data: dict[str, Any]) -> None:
    row(data, "EVENT-01")["sees"] = [["anything", 1]]
    row(data, "EVENT-01")["evidence"] = {"anything": 1}


def no_minimum_at_all(data: dict[str, Any]) -> None:
    row(data, "EVENT-01")["sees"] = []


def not_supported_though_declared(data: dict[str, Any]) -> None:
    row(data, "EVENT-21").update(
        verdict="NOT_SUPPORTED", reason="groups is not declared", evidence={"absence probes": 1}
    )
    recount(data)


def a_core_clause_not_supported(data: dict[str, Any]) -> None:
    row(data, "EVENT-01").update(verdict="NOT_SUPPORTED", reason="who needs it", evidence={"absence probes": 1})
    recount(data)


def passed_without_its_capability(data: dict[str, Any]) -> None:
    data["targets"][0]["capabilities"]["groups"] = False


def absent_without_a_probe(data: dict[str, Any]) -> None:
    data["targets"][0]["capabilities"]["groups"] = False
    row(data, "EVENT-21").update(verdict="NOT_SUPPORTED", reason="groups is not declared", evidence={})
    recount(data)


def a_better_level(data: dict[str, Any]) -> None:
    row(data, "EVENT-01").update(verdict="INCONCLUSIVE", reason="too little evidence", evidence={})
    recount(data)


def better_counts(data: dict[str, Any]) -> None:
    data["counts"]["PASS"] += 10


def a_failure_turned_into_a_pass(data: dict[str, Any]) -> None:
    failure = {"headline": "an event was lost", "done": [], "expected": "x", "seen": "y", "again": "", "alone": ""}
    row(data, "EVENT-01")["failure"] = failure


def a_selection_that_is_not_named(data: dict[str, Any]) -> None:
    data["clauses"] = [row(data, "EVENT-01")]
    recount(data)


def a_selection_that_was_widened(data: dict[str, Any]) -> None:
    data["selected"] = ["EVENT-01"]
    data["level"] = "PARTIAL"


def the_wrong_profile(data: dict[str, Any]) -> None:
    data["profile"] = "full"


def a_selftest_that_was_shortened(data: dict[str, Any]) -> None:
    data["profile"] = "full"
    data["selftest"] = {"seed": 1, "mutants": 1, "killed": 1, "survivors": []}


def a_survivor_that_is_left_out(data: dict[str, Any]) -> None:
    data["selftest"] = {"seed": 1, "mutants": 9, "killed": 8, "survivors": []}


def a_survivor_that_does_not_count(data: dict[str, Any]) -> None:
    data["selftest"] = {
        "seed": 1,
        "mutants": 9,
        "killed": 8,
        "survivors": ["events:X: EVENT-01 did not catch it (PASS)"],
    }


def a_stack_without_its_backends(data: dict[str, Any]) -> None:
    data["stack"] = "memory"


def a_backend_without_rows(data: dict[str, Any]) -> None:
    data["targets"].append({**data["targets"][0], "target": "cache=memory", "concern": "cache"})


def rows_of_a_backend_that_is_not_listed(data: dict[str, Any]) -> None:
    data["targets"] = []


def provisional_by_decree(data: dict[str, Any]) -> None:
    row(data, "EVENT-01").update(verdict="PROVISIONAL", reason="new")
    recount(data)


def passed_without_a_server(data: dict[str, Any]) -> None:
    data["targets"][0].update(trouble="server", trouble_sentence="It cannot be reached.")


def fewer_backends_than_the_command(data: dict[str, Any]) -> None:
    data["command"] = data["command"].replace("events=memory", "cache=memory --backend events=memory")


def another_command(data: dict[str, Any]) -> None:
    data["command"] = "rm -rf /"


def another_origin(data: dict[str, Any]) -> None:
    data["origin"] = "external"


def a_server_made_up(data: dict[str, Any]) -> None:
    data["servers"].append({"name": "x", "origin": "embedded", "fidelity": "native", "version": "1", "facts": {}})


def a_server_from_elsewhere(data: dict[str, Any]) -> None:
    data["servers"].append({"name": "x", "origin": "external", "fidelity": "native", "version": "1", "facts": {}})
    data["targets"][0]["server"] = "x"


def an_emulator_as_native(data: dict[str, Any]) -> None:
    data["servers"].append({"name": "x", "origin": "embedded", "fidelity": "emulator", "version": "1", "facts": {}})
    data["targets"][0]["server"] = "x"


def made_tomorrow(data: dict[str, Any]) -> None:
    data["created"] = "2999-01-01T00:00:00+00:00"


def made_yesterday(data: dict[str, Any]) -> None:
    data["created"] = "yesterday"


def made_at_no_time(data: dict[str, Any]) -> None:
    data["created"] = ""


def made_in_no_zone(data: dict[str, Any]) -> None:
    data["created"] = "2026-01-01T00:00:00"


def a_limit_below_nothing(data: dict[str, Any]) -> None:
    data["targets"][0]["capabilities"]["max_payload_bytes"] = -5


def an_order_that_there_is_not(data: dict[str, Any]) -> None:
    data["targets"][0]["capabilities"]["order"] = "perfect"


def a_capability_left_out(data: dict[str, Any]) -> None:
    del data["targets"][0]["capabilities"]["max_payload_bytes"]


def another_reason(data: dict[str, Any]) -> None:
    row(data, "EVENT-01")["because"] = "whatever"


def learnt_from_elsewhere(data: dict[str, Any]) -> None:
    row(data, "EVENT-01")["learnt_from"] = ["Z9"]


def a_stack_that_there_is_not(data: dict[str, Any]) -> None:
    data["stack"] = "mine"


def passed_by_nobody(data: dict[str, Any]) -> None:
    data["targets"][0].update(backend="", digest="")


def trouble_that_does_not_count(data: dict[str, Any]) -> None:
    data["targets"][0].update(trouble="backend", trouble_sentence="Cleaning up went wrong.")


FORGERIES: dict[Forgery, str] = {
    fewer_backends_than_the_command: "Its command is another than that of what it tells: stackproof verify --backend",
    another_command: "Its command is another than that of what it tells: stackproof verify --backend events=memory",
    another_origin: "Its command is another than that of what it tells: ",
    a_server_made_up: "It tells of a server, x, that none of its backends talked to.",
    a_server_from_elsewhere: "Its servers are embedded, but x is external.",
    an_emulator_as_native: "events=memory is told to be native, where its server is emulator.",
    made_tomorrow: "It was made in the future: 2999-01-01",
    made_yesterday: "It was made at no time: 'yesterday'.",
    made_at_no_time: "It was made at no time: ''.",
    made_in_no_zone: "It does not say in which time zone 2026-01-01T00:00:00 is.",
    a_limit_below_nothing: "events=memory declares what cannot be: ",
    an_order_that_there_is_not: "events=memory declares what cannot be: ",
    a_capability_left_out: "events=memory does not tell of its capability max_payload_bytes.",
    another_reason: "EVENT-01 of events=memory has another reason than in the suite.",
    learnt_from_elsewhere: "EVENT-01 of events=memory has another reason than in the suite.",
    a_stack_that_there_is_not: "It is of a stack, mine, that there is not.",
    passed_by_nobody: "EVENT-01 of events=memory is PASS, but it does not say what that backend is.",
    trouble_that_does_not_count: "It says HOLDS, but from its rows follows INCONCLUSIVE.",
    no_results: "It has no results.",
    half_of_the_results: "planned clauses",
    one_result_fewer: "lacks 1 of",
    two_verdicts: "EVENT-01 of events=memory has 2 verdicts instead of one: INCONCLUSIVE and PASS.",
    an_unknown_id: "EVENT-99 of events=memory is unknown to the suite",
    no_evidence: "EVENT-01 of events=memory is PASS without its evidence: ",
    less_demanded: "EVENT-01 of events=memory has another rule, evidence or capability than in the suite.",
    no_minimum_at_all: "EVENT-01 of events=memory is PASS without its evidence: none is demanded.",
    not_supported_though_declared: "EVENT-21 of events=memory is NOT_SUPPORTED, but groups is declared.",
    a_core_clause_not_supported: "EVENT-01 of events=memory is NOT_SUPPORTED, but a core clause has no capability",
    passed_without_its_capability: "EVENT-21 of events=memory is PASS, but its capability, groups, is not declared.",
    absent_without_a_probe: "EVENT-21 of events=memory is NOT_SUPPORTED without evidence",
    a_better_level: "It says HOLDS, but from its rows follows INCONCLUSIVE.",
    better_counts: "Its counts are not those of its rows",
    a_failure_turned_into_a_pass: "EVENT-01 of events=memory is PASS, but holds the explanation of a failure: an event",
    a_selection_that_is_not_named: "planned clauses: EVENT-02, EVENT-03",
    a_selection_that_was_widened: "EVENT-02 of events=memory is not planned for the profile",
    the_wrong_profile: "does not say how the self-test of its suite ended",
    a_selftest_that_was_shortened: "Its self-test ran 1 mutants, where",
    a_survivor_that_is_left_out: "The numbers of its self-test do not add up",
    a_survivor_that_does_not_count: "It says HOLDS, but from its rows follows INCONCLUSIVE.",
    a_stack_without_its_backends: "It is of the memory stack, but has not the backends of that stack.",
    a_backend_without_rows: "cache=memory has no results.",
    rows_of_a_backend_that_is_not_listed: "has a verdict, but that backend is not listed.",
    provisional_by_decree: "EVENT-01 of events=memory is PROVISIONAL, which that clause is not.",
    passed_without_a_server: "EVENT-01 of events=memory is PASS, though the server could not be used at all.",
}


def test_a_genuine_certificate_is_sound_and_current(genuine: str, installed: Installed) -> None:
    assert check(genuine, installed) == []


@pytest.mark.parametrize("change", FORGERIES, ids=lambda change: change.__name__)
def test_a_forgery_is_refused_with_its_reason(genuine: str, installed: Installed, change: Forgery) -> None:
    found = sentences(check(forged(genuine, change), installed))
    assert [sentence for sentence in found if FORGERIES[change] in sentence], found


@pytest.mark.parametrize("change", FORGERIES, ids=lambda change: change.__name__)
def test_the_seal_shows_any_change(genuine: str, installed: Installed, change: Forgery) -> None:
    found = sentences(check(forged(genuine, change, sealed=False), installed))
    assert "It was changed after it was written: its seal is not that of its content." in found


def test_a_file_that_was_cut_off_is_refused_wherever_it_was_cut(genuine: str, installed: Installed) -> None:
    whole = genuine.rstrip()
    for length in [0, 1, *range(100, len(whole), len(whole) // 20), len(whole) - 1]:
        assert sentences(check(whole[:length], installed), Kind.DAMAGED) == [
            "It is no complete JSON: the file was cut off or damaged."
        ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data.pop("targets"), "the document has no 'targets'"),
        (lambda data: data["clauses"][0].update(verdict="GREEN"), "clauses[0].verdict does not keep enum"),
        (
            lambda data: data["clauses"][0].update(evidence={"x": "many"}),
            "clauses[0].evidence.x is not of type integer",
        ),
        (lambda data: data.update(suite_digest="x"), "suite_digest does not keep pattern"),
        (lambda data: data.update(remark="trust me"), "the document has a field 'remark' that is not known"),
        (lambda data: data.update(schema="stackproof-certificate/9"), "It does not say that it is of schema"),
    ],
)
def test_what_has_not_the_shape_of_a_certificate_is_refused(
    genuine: str, installed: Installed, change: Forgery, sentence: str
) -> None:
    assert [told for told in sentences(check(forged(genuine, change), installed)) if sentence in told]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('"level": "HOLDS"', '"level": "BROKEN", "level": "HOLDS"', "It is no JSON of ours: it gives 'level' twice."),
        ('"seed": 1', '"seed": NaN', "It is no JSON of ours: it holds NaN, which is no number."),
        ('"seconds": ', '"seconds": Infinity, "x": ', "It is no JSON of ours: it holds Infinity, which is no number."),
        ('"seconds": ', '"seconds": 1e999, "x": ', "It is no JSON of ours: it holds 1e999, which is too large"),
        ('"seed": 1', '"seed": ' + "[" * 100_000, "It is no JSON of ours: it is nested deeper than any record."),
    ],
)
def test_json_that_can_be_read_in_two_ways_or_in_none_is_refused(
    genuine: str, installed: Installed, before: str, after: str, sentence: str
) -> None:
    text = json.dumps(json.loads(genuine))
    assert before in text
    assert sentences(check(text.replace(before, after, 1), installed))[0].startswith(sentence)


@pytest.mark.parametrize("text", ["[]", "null", "7", '"x"', "{}"])
def test_json_that_is_something_else_is_refused(text: str, installed: Installed) -> None:
    assert sentences(check(text, installed))


def test_what_was_altered_by_the_third_party_is_sound_and_partial(genuine: str, installed: Installed) -> None:
    def altered(data: dict[str, Any]) -> None:
        data["clauses"].append({**row(data, "EVENT-01"), "clause": "MINE-01", "altered": "MINE-01 is not of the suite"})
        recount(data)
        data["level"] = "PARTIAL"

    assert check(forged(genuine, altered), installed) == []


# Outdated


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data.update(suite_digest="0" * 64), "Another suite is installed: "),
        (lambda data: data["targets"][0].update(digest="0" * 64), "events=memory: another stackproof.adapters.events"),
        (
            lambda data: data["targets"][0].update(backend="elsewhere.Bus"),
            "events=memory: the source of elsewhere.Bus is not to be found here.",
        ),
        (lambda data: data["environment"].update(redis="0.0.1"), "is not the version of the certificate, 0.0.1."),
        (lambda data: data.update(version="9.9"), " is installed, where it was made by 9.9."),
    ],
)
def test_what_was_made_for_something_else_is_outdated_and_not_forged(
    genuine: str, installed: Installed, change: Forgery, sentence: str
) -> None:
    findings = check(forged(genuine, change), installed)
    assert sentences(findings) == []
    assert [told for told in sentences(findings, Kind.OUTDATED) if sentence in told]


OTHERS = ("confluent-kafka", "scylla-driver", "opensearch-py", "boto3")


@pytest.mark.parametrize("driver", OTHERS)
def test_every_driver_is_named_and_another_version_of_it_is_seen(
    genuine: str, installed: Installed, driver: str
) -> None:
    assert json.loads(genuine)["environment"][driver] == version(driver)
    found = check(forged(genuine, lambda data: data["environment"].update({driver: "0.0.1"})), installed)
    assert [finding.kind for finding in found] == [Kind.OUTDATED]
    assert found[0].sentence == f"{driver} {version(driver)} is not the version of the certificate, 0.0.1."


def test_a_certificate_that_does_not_name_a_driver_cannot_be_compared(genuine: str, installed: Installed) -> None:
    """Those of earlier releases name four drivers."""

    def of_kafka(data: dict[str, Any]) -> None:
        text = json.dumps(data).replace("events=memory", "events=kafka")
        data.clear()
        data.update(json.loads(text))
        for driver in OTHERS:
            data["environment"].pop(driver)

    text = forged(genuine, of_kafka)
    (target,) = json.loads(text)["targets"]
    here = replace(
        installed,
        digests={("events=kafka", target["backend"]): target["digest"]},
        needs={"events=kafka": needed_drivers("events=kafka")},
    )
    assert check(text, here) == [
        Finding(Kind.UNKNOWN, "events=kafka: it does not say with which version of confluent-kafka it was made.")
    ]
    old = forged(genuine, lambda data: [data["environment"].pop(driver) for driver in OTHERS])
    assert check(old, installed) == [], "a backend that needs none of them"


def test_the_drivers_that_a_backend_needs() -> None:
    assert needed_drivers("events=msk") == ("confluent-kafka",)
    assert set(needed_drivers("interactions=keyspaces")) == {"boto3", "botocore", "scylla-driver"}
    assert needed_drivers("cache=memory") == needed_drivers("cache=mine:make") == needed_drivers("cache=nobody") == ()
    for entry in BUILT_IN:
        named = needed_drivers(f"{entry.concern}={entry.name}")
        assert bool(named) == bool(entry.extra), entry
        assert set(named) <= set(DRIVERS)


def test_a_source_that_was_not_found_cannot_be_compared(genuine: str, installed: Installed, tmp_path: Path) -> None:
    text = forged(genuine, lambda data: data["targets"][0].update(backend="not.there.Bus", digest=""))
    findings = check(text, installed)
    assert [finding.kind for finding in findings] == [Kind.UNKNOWN]
    code, told = checked(text, tmp_path)
    assert code == 3
    assert told.splitlines()[-1].endswith("it cannot be told whether it holds for what is installed.")


@pytest.mark.parametrize(
    ("level", "code"),
    [("BROKEN", 1), ("INCONCLUSIVE", 3), ("PARTIAL", 3)],
)
def test_what_is_written_down_is_no_better_for_it(genuine: str, tmp_path: Path, level: str, code: int) -> None:
    def worse(data: dict[str, Any]) -> None:
        failure = {"headline": "an event was lost", "done": [], "expected": "x", "seen": "y", "again": "", "alone": ""}
        ends = {
            "BROKEN": {"verdict": "FAIL", "reason": "lost", "failure": failure},
            "INCONCLUSIVE": {"verdict": "INCONCLUSIVE", "reason": "too little evidence"},
            "PARTIAL": {"verdict": "SKIPPED", "reason": "interrupted", "evidence": {}},
        }
        row(data, "EVENT-01").update(ends[level])
        recount(data)
        data["level"] = level

    found, told = checked(forged(genuine, worse), tmp_path)
    assert found == code
    assert told == f"certificate.json is sound, and what it says of what is installed is: {level}.\n"


@pytest.mark.parametrize("command", ["report", "replay"])
def test_no_reader_of_a_record_is_ended_by_its_depth(tmp_path: Path, command: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "certificate.json").write_text("[" * 100_000)
    done = stackproof(command, "run", cwd=tmp_path)
    assert done.returncode == 5, done.stderr[-500:]
    assert "Traceback" not in done.stderr


def test_a_forgery_stays_one_when_another_suite_is_installed(genuine: str, installed: Installed) -> None:
    other = replace(installed, suite_digest="1" * 64)
    assert sentences(check(genuine, other)) == []
    for change in (no_results, two_verdicts, no_evidence, a_better_level, passed_without_its_capability):
        assert sentences(check(forged(genuine, change), other)), change.__name__


# The shape


@pytest.mark.parametrize("change", [lambda data: None, *FORGERIES], ids=lambda change: change.__name__)
def test_the_shape_is_judged_as_jsonschema_judges_it(genuine: str, installed: Installed, change: Forgery) -> None:
    data = json.loads(forged(genuine, change))
    errors = list(jsonschema.Draft202012Validator(installed.schema).iter_errors(data))
    assert bool(misshapen(data, installed.schema)) == bool(errors)


@pytest.mark.parametrize("sample", [samples.holds(), samples.with_all_verdicts()], ids=["holds", "all verdicts"])
def test_samples_have_the_shape(sample: Any, installed: Installed) -> None:
    assert misshapen(json.loads(to_json(sample)), installed.schema) == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [1, -1], [True, 1.5, "1", None]),
        ({"type": ["object", "null"]}, [{}, None], [[], 0]),
        ({"enum": ["a"]}, ["a"], ["b", None]),
        ({"minimum": 1}, [1, "x"], [0]),
        ({"minLength": 1}, ["x"], [""]),
        ({"pattern": "^a"}, ["ab"], ["ba"]),
        ({"prefixItems": [{"type": "string"}], "items": False, "minItems": 1}, [["x"]], [[1], ["x", 1], []]),
        ({"items": {"type": "string"}}, [[], ["x"]], [[1]]),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, [1, 2], [3]),
        ({"additionalProperties": {"type": "string"}}, [{"a": "x"}], [{"a": 1}]),
    ],
)
def test_each_keyword_is_judged_as_jsonschema_judges_it(schema: Any, good: list[Any], bad: list[Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for value in good:
        assert not misshapen(value, schema)
        assert validator.is_valid(value)
    for value in bad:
        assert misshapen(value, schema)
        assert not validator.is_valid(value)


def test_a_keyword_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="'maxLength', which is not known here"):
        misshapen([], {"maxLength": 1})


# The command


def checked(text: str, place: Path) -> tuple[int, str]:
    (place / "certificate.json").write_text(text, encoding="utf-8")
    done = stackproof("verify", "--check", "certificate.json", "--json", "check.json", cwd=place)
    return done.returncode, done.stdout


def test_the_exit_codes(genuine: str, tmp_path: Path) -> None:
    code, told = checked(genuine, tmp_path)
    assert (code, told) == (0, "certificate.json is sound, and holds for what is installed: HOLDS.\n")
    code, told = checked(forged(genuine, no_evidence), tmp_path)
    assert code == 5
    assert told.splitlines()[-1] == "certificate.json is not sound: it proves nothing."
    code, told = checked(genuine[:-100], tmp_path)
    assert code == 5
    assert told.startswith("DAMAGED   It is no complete JSON: the file was cut off")
    assert json.loads((tmp_path / "check.json").read_text())["sound"] is False
    code, told = checked(forged(genuine, lambda data: data.update(suite_digest="0" * 64)), tmp_path)
    assert code == 3
    assert told.splitlines()[-1] == "certificate.json is sound, but no longer for what is installed: verify again."
    assert json.loads((tmp_path / "check.json").read_text())["sound"] is True
    done = stackproof("verify", "--check", "nothing.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "stackproof: there is no certificate 'nothing.json': neither a file nor a run\n"
