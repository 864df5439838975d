"""The writers: a certificate as JSON, JUnit, page and terminal output. They agree, and nothing in it can hurt a reader."""

from __future__ import annotations

import io
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import jsonschema
import pytest
from certificate_samples import HOSTILE, clause, holds, with_all_verdicts
from rich.console import Console

import stackproof.verification
from stackproof.contracts.smoke import Smoke, Trouble
from stackproof.contracts.stream import ClauseEnded, ClauseStarted, RunEnded, StreamEvent, TargetPlanned, TargetSmoked
from stackproof.contracts.verdicts import Verdict
from stackproof.interfaces import ConfigurationError
from stackproof.reports import certificate_page, junit, words
from stackproof.reports.limits import not_shown
from stackproof.reports.terminal import LiveView, print_certificate
from stackproof.reports.text import one_line, visible
from stackproof.verification.certificate import Certificate, Level, from_json, to_json

GOLDEN = Path(__file__).parent / "golden"
SCHEMA: dict[str, Any] = json.loads(
    (Path(stackproof.verification.__file__).parent / "certificate.schema.json").read_text(encoding="utf-8")
)
SAMPLES = [pytest.param(holds, id="holds"), pytest.param(with_all_verdicts, id="all verdicts")]
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202e\ufffe]")


def empty() -> Certificate:
    return replace(holds(), targets=(), clauses=(), servers=())


# Text


def test_every_character_is_visible_in_xml_and_in_utf_8() -> None:
    everything = visible("".join(map(chr, range(0x11000))))
    # Python's parser takes the line break as it is, so only what must not be there is looked for.
    assert ET.fromstring(f"<a>{escape(everything)}</a>").text == everything
    assert everything.encode("utf-8")
    assert CONTROL.search(everything) is None


def test_what_is_ordinary_stays_as_it_is() -> None:
    for text in ("", "plain", "two\nlines\tand a tab", "é 漢字 नमस्ते", "\U0001f469\u200d\U0001f4bb"):
        assert visible(text) == text
    assert visible("a\x1b[0m\x00\ud800") == "a\\x1b[0m\\x00\\ud800"
    assert one_line("two\nlines") == "two\\nlines"


# JSON


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_certificate_survives_json_and_keeps_the_schema(sample: Any) -> None:
    certificate = sample()
    text = to_json(certificate)
    assert from_json(text.encode("utf-8").decode("utf-8")) == certificate
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(text))


def test_the_schema_is_itself_valid_and_describes_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    described = list(_fields(SCHEMA))
    assert len(described) > 50
    assert [name for name, field in described if "description" not in field and "$ref" not in field] == []


def _fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All named fields of a schema, at any depth."""
    yield from schema.get("properties", {}).items()
    for part in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), schema.get("items")):
        if isinstance(part, dict):
            yield from _fields(part)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("surprise",), 1),
        (("level",), "100 %"),
        (("clauses", 0, "verdict"), "OK"),
        (("clauses", 0, "surprise"), 1),
        (("targets", 0, "trouble"), "maybe"),
        (("servers", 0, "surprise"), 1),
        (("counts", "FAILED"), 1),
        (("seed",), "one"),
    ],
)
def test_the_schema_refuses_what_it_does_not_know(path: tuple[Any, ...], value: object) -> None:
    data = json.loads(to_json(holds()))
    part = data
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(data)


# All writers together


@pytest.mark.parametrize("sample", SAMPLES)
def test_all_writers_tell_the_same_clauses_and_verdicts(sample: Any) -> None:
    certificate = sample()
    truth = [(r.result.target, r.result.clause, str(r.result.verdict)) for r in certificate.clauses]

    rows = json.loads(to_json(certificate))["clauses"]
    assert [(row["target"], row["clause"], row["verdict"]) for row in rows] == truth

    shown = [(one_line(target), clause, verdict) for target, clause, verdict in truth]
    assert [(page["data-target"], page["data-clause"], page["data-verdict"]) for page in _rows(certificate)] == shown
    assert list(_cases(certificate)) == [(clause, verdict) for _, clause, verdict in shown]
    for width in (80, 120):
        lines = re.findall(r"^([A-Z]+-\d+) +\S ([A-Z_]+) ", _terminal(certificate, width), re.MULTILINE)
        assert lines == [(clause, verdict) for _, clause, verdict in shown]


@pytest.mark.parametrize(
    ("sample", "level"), [(holds, "HOLDS"), (with_all_verdicts, "BROKEN"), (empty, "INCONCLUSIVE")]
)
def test_all_writers_tell_the_same_level(sample: Any, level: str) -> None:
    certificate = sample()
    assert json.loads(to_json(certificate))["level"] == level
    assert f'<span class="level v-{words.TONE[Level(level)]}">{level}</span>' in certificate_page.render(certificate)
    assert re.search(rf"^\S {level}  ", _terminal(certificate), re.MULTILINE)


def test_the_meaning_of_partial_names_what_is_missing() -> None:
    rows = [
        r for r in with_all_verdicts().clauses if r.result.verdict is Verdict.SKIPPED or r.result.clause == "CACHE-08"
    ]
    partial = replace(holds(), clauses=(*holds().clauses, *rows), interrupted=True)
    assert partial.level is Level.PARTIAL
    assert words.meaning(partial).endswith(": 1 not executed, 1 altered, the run was interrupted.")
    assert words.meaning(empty()) == "Nothing was verified: no clause passed and none failed."


def test_evidence_names_what_was_demanded_and_nothing_for_a_clause_that_never_ran() -> None:
    seen = {record.result.clause: list(map(str, words.sightings(record))) for record in with_all_verdicts().clauses}
    assert seen["CACHE-03"] == ["overlapping callers: 8 (needs 2)", "fetches: 1"]
    assert seen["CACHE-07"] == ["round trips: 1 (needs 3)"]
    assert seen["CACHE-14"] == ["absence probes: 2 (needs 1)"]
    assert seen["CACHE-09"] == []


# JUnit


def _cases(certificate: Certificate) -> Iterator[tuple[str, str]]:
    for case in ET.fromstring(junit.render(certificate)).iter("testcase"):
        properties = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
        assert case.attrib["name"].startswith(properties["clause"])
        assert {"evidence", "fidelity", "seed"} <= set(properties)
        yield properties["clause"], properties["verdict"]


def test_junit_is_never_green_for_what_is_not_known() -> None:
    root = ET.fromstring(junit.render(with_all_verdicts()))
    ends = {
        case.attrib["name"].split()[0]: [(e.tag, e.attrib["message"]) for e in case if e.tag != "properties"]
        for case in root.iter("testcase")
    }
    assert ends["CACHE-01"] == []
    assert ends["CACHE-06"] == [("failure", "an entry with a ttl of 0.4 s, after 1.5 s: expected missing")]
    assert ends["CACHE-07"] == [("error", "too little evidence: round trips: 1 of 3")]
    assert ends["CACHE-08"] == [("skipped", "altered, not counted: test_delete_tells was overridden in TestMine")]
    assert ends["CACHE-09"] == [("skipped", "not executed: the run was interrupted before it")]
    assert ends["CACHE-10"] == [("skipped", "provisional, not counted: new in 0.1; would be PASS.")]
    assert ends["CACHE-14"] == [("skipped", "not supported: shared is not declared, and was proven absent")]
    assert [root.attrib[name] for name in ("tests", "failures", "errors")] == ["11", "2", "1"]
    assert [suite.attrib["skipped"] for suite in root] == ["0", "4", "0"]
    assert [suite.attrib["tests"] for suite in root] == ["2", "8", "1"]
    assert [suite.attrib["timestamp"] for suite in root] == ["2026-11-23T21:45:01"] * 3


def test_junit_of_a_failure_holds_what_is_needed_to_repeat_it() -> None:
    failure = next(ET.fromstring(junit.render(with_all_verdicts())).iter("failure"))
    for needed in ('cache.get("k") -> "v"', "expected: missing", 'seen:     "v"', "again: stackproof verify --backend"):
        assert needed in (failure.text or "")


@pytest.mark.parametrize(
    ("change", "element", "message"),
    [
        (
            {"selftest": {"seed": 1, "mutants": 9, "killed": 8, "survivors": ["x: it lived"]}},
            "error",
            "The suite did not prove that it can fail: 1 of 9",
        ),
        (
            {"selected": ("CACHE-01",)},
            "skipped",
            "No clause failed, but not everything that was planned counts: only the",
        ),
        ({"interrupted": True}, "skipped", "No clause failed, but not everything that was planned counts: the run was"),
        (
            {"targets": (holds().targets[0], replace(holds().targets[1], trouble="backend", trouble_sentence="x"))},
            "error",
            "No clause failed, but the first use of cache=redis went wrong.",
        ),
    ],
    ids=["survivor", "selection", "interruption", "trouble"],
)
def test_junit_says_what_no_row_says(change: dict[str, Any], element: str, message: str) -> None:
    certificate = replace(holds(), **change)
    assert certificate.level is not Level.HOLDS
    root = ET.fromstring(junit.render(certificate))
    case = next(case for case in root.iter("testcase") if case.attrib["name"] == "verification")
    assert [(end.tag, end.attrib["message"][: len(message)]) for end in case] == [(element, message)]
    assert root.attrib["errors"] == ("1" if element == "error" else "0")
    assert "verification" not in junit.render(holds())


@pytest.mark.parametrize(
    ("trouble", "level"), [("backend", "INCONCLUSIVE"), ("harness", "INCONCLUSIVE"), ("server", "PARTIAL")]
)
def test_what_went_wrong_at_the_first_use_is_no_holds(trouble: str, level: str) -> None:
    target = replace(holds().targets[1], trouble=trouble, trouble_sentence="Cleaning up went wrong.")
    assert replace(holds(), targets=(holds().targets[0], target)).level == level


def test_a_backend_without_a_verdict_is_not_carried_by_another() -> None:
    rows = tuple(record for record in holds().clauses if record.result.target != "cache=redis")
    assert replace(holds(), clauses=rows).level is Level.INCONCLUSIVE


_JUNIT = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "time", "timestamp", "tests", "failures", "errors", "skipped"},
        {"properties", "testcase"},
    ),
    "testcase": ({"classname", "name", "time"}, {"properties", "failure", "error", "skipped"}),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message", "type"}, set()),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
}
"""Element -> the attributes that it must have, and no others, and the elements that it may hold: what pytest's xunit2 form, and
with it the schemas of Ant and Jenkins, have in common, and properties of a case."""


@pytest.mark.parametrize("sample", [holds, with_all_verdicts, empty], ids=["holds", "all verdicts", "empty"])
def test_junit_has_the_form_and_the_sums_that_readers_rely_on(sample: Any) -> None:
    root = ET.fromstring(junit.render(sample()))
    for element in root.iter():
        attributes, below = _JUNIT[element.tag]
        assert set(element.attrib) == attributes, element.tag
        assert {child.tag for child in element} <= below
        tags = [child.tag for child in element]
        assert "properties" not in tags[1:]  # the schemas have it first
        if "time" in attributes:
            assert re.fullmatch(r"\d+\.\d{3}", element.attrib["time"])
    for suite in root.iter("testsuite"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases) > 0
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)
        assert all(sum(case.find(tag) is not None for tag in ("failure", "error", "skipped")) <= 1 for case in cases)
    for attribute in ("tests", "failures", "errors"):
        assert int(root.attrib[attribute]) == sum(int(suite.attrib[attribute]) for suite in root)
    named = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(named)) == len(named)  # GitLab takes two of one name for one


def test_junit_of_nothing_is_an_error() -> None:
    root = ET.fromstring(junit.render(empty()))
    assert (root.attrib["tests"], root.attrib["errors"]) == ("1", "1")
    without_clauses = replace(holds(), clauses=())
    root = ET.fromstring(junit.render(without_clauses))
    assert (root.attrib["tests"], root.attrib["errors"]) == ("2", "2")


def test_junit_shows_hostile_text_and_survives_it() -> None:
    text = junit.render(with_all_verdicts())
    assert CONTROL.search(text) is None
    assert text.encode("utf-8")
    failure = list(ET.fromstring(text).iter("failure"))[1]
    assert failure.attrib["message"] == one_line(HOSTILE)


# The page


class Page(HTMLParser):
    """What a browser would make of a page, as far as these tests need it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] and self.elements[-1][0] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def _rows(certificate: Certificate) -> list[dict[str, str]]:
    return [row for row in Page(certificate_page.render(certificate)).all("tr") if "data-clause" in row]


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_page_loads_nothing_and_runs_nothing(sample: Any) -> None:
    html = certificate_page.render(sample())
    page = Page(html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "img", "object", "embed", "base", "form"})
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    for tag, attributes in page.elements:
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag == "link" or attributes.get("href", "#").startswith("#")
    assert "@import" not in html
    assert "url(" not in html


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_page_can_be_read_by_everyone(sample: Any) -> None:
    page = Page(certificate_page.render(sample()))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert len(page.all("caption")) == len(page.all("table")) >= 5
    assert [th for th in page.all("th") if th.get("scope") not in ("col", "row")] == []
    anchors = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    targets = {attributes["href"][1:] for _, attributes in page.elements if attributes.get("href", "").startswith("#")}
    assert targets <= set(anchors)
    for record in sample().clauses:
        assert f"{words.SYMBOL[record.result.verdict]} {record.result.verdict}" in page.text


def test_the_page_shows_hostile_text_and_survives_it() -> None:
    html = certificate_page.render(with_all_verdicts())
    assert html.encode("utf-8")
    assert CONTROL.search(html) is None
    assert "<script" not in html
    assert Page(html).text.count(one_line(HOSTILE)) >= 15


def test_the_page_tells_failures_in_full_before_the_tables() -> None:
    text = Page(certificate_page.render(with_all_verdicts())).text
    broken, table = text.index("What is broken"), text.index("2 clauses on stackproof.adapters")
    for needed in (
        "an entry with a ttl of 0.4 s, after 1.5 s: expected missing",
        'cache.get("k") -> "v"',
        "a ttl is a promise about freshness (learnt from C11, C12)",
        "stackproof verify --backend cache=mypkg.cache:make --clause CACHE-06 --seed 1",
    ):
        assert broken < text.index(needed) < table
    for heading in ("What is not known", "What was altered", "Trouble before the first clause"):
        assert text.index(heading) < table
        assert heading not in Page(certificate_page.render(holds())).text


def test_the_page_holds_all_that_is_needed_to_judge_and_to_repeat() -> None:
    certificate = holds()
    text = Page(certificate_page.render(certificate)).text
    wanted = [certificate.id, certificate.command, certificate.suite_digest, "23 November 2026, 21:45 UTC", "23.4 s"]
    wanted += [target.digest for target in certificate.targets] + [server.version for server in certificate.servers]
    wanted += [
        "overlapping callers 8 (needs 2)",
        "C3, C18, C21",
        "max value bytes 1,048,576",
        "fsync off",
        "CPython 3.11.2",
    ]
    wanted += not_shown(certificate)
    assert [each for each in wanted if each not in text] == []


def test_what_is_not_shown_depends_on_what_was_run() -> None:
    held, all_six = " ".join(not_shown(holds())), " ".join(not_shown(with_all_verdicts()))
    assert "events, search, logs" in held
    assert "postgres 18.4, redis 6.2.14" in held
    for sentence in ("ran on an emulator", "2 clauses: not executed, or not decided", "CACHE-08", "was interrupted"):
        assert sentence in all_six
        assert sentence not in held
    assert "selftest" in held
    assert "selftest" not in " ".join(not_shown(replace(holds(), selftest={"killed": 50})))


def test_without_jinja2_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for use in (certificate_page.require, lambda: certificate_page.render(holds())):
        with pytest.raises(ConfigurationError, match=r"pip install 'stackproof\[report\]'"):
            use()


# The terminal


def _terminal(certificate: Certificate, width: int = 80, directory: Path | None = None, **settings: Any) -> str:
    file = io.StringIO()
    print_certificate(certificate, Console(file=file, width=width, **settings), directory)
    return file.getvalue()


def test_the_terminal_output_at_80_columns() -> None:
    output = _terminal(holds(), directory=Path("run"))
    lines = [line.rstrip() for line in output.splitlines()]
    assert lines == (GOLDEN / "terminal-80.txt").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 80


def test_the_numbers_of_the_table_are_explained() -> None:
    narrow, wide = (" ".join(_terminal(holds(), width=width).split()) for width in (80, 120))
    assert "seen/needed: how often the evidence of a clause was seen, and how often it must be" in narrow
    assert "+2: two more kinds of evidence" in narrow
    assert "seen/needed: " in wide
    assert "+2" not in wide


def test_what_is_no_terminal_has_no_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stackproof.commands.options import result_console

    monkeypatch.delenv("COLUMNS", raising=False)
    rule = "A rule that is long. " * 9
    with (tmp_path / "log").open("w", encoding="utf-8") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        print_certificate(replace(holds(), clauses=(clause("CACHE-99", rule),)), result_console(None))
    assert rule.strip() in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_the_names_of_stacks_are_never_cut(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stackproof.commands.listings import stacks
    from stackproof.targets import STACKS

    monkeypatch.setenv("COLUMNS", str(columns))
    stacks.main([], standalone_mode=False)
    words = capsys.readouterr().out.split()
    assert {stack.name for stack in STACKS} <= set(words)


def test_a_wide_terminal_names_the_evidence_and_a_narrow_one_shows_the_scarcest() -> None:
    assert "overlapping callers 8/2, fetches 1" in _terminal(holds(), width=120)
    assert re.search(r"^CACHE-03 .* 8/2 \+1 *$", _terminal(holds(), width=80), re.MULTILINE)
    assert re.search(r"^INTERACTION-01 .* 5/4 \+1 *$", _terminal(holds(), width=80), re.MULTILINE)


def test_the_terminal_explains_what_did_not_hold() -> None:
    output = _terminal(with_all_verdicts())
    assert "  again: stackproof verify --backend cache=mypkg.cache:make --clause CACHE-06 --seed 1\n" in output
    for needed in ('cache.get("k") -> "v"', "too little evidence: round trips: 1 of 3", "was overridden in TestMine"):
        assert needed in output
    assert "(interrupted)" in output


def test_trouble_before_the_first_clause_is_told_once() -> None:
    server, cache = holds().targets
    down = replace(cache, trouble="server", trouble_sentence="Nobody listens.")
    certificate = replace(holds(), targets=(server, down))
    assert _terminal(certificate).count("Nobody listens.") == 1
    undecided = clause(
        "CACHE-99", "Any.", verdict=Verdict.INCONCLUSIVE, evidence={}, reason="the server is down: Nobody listens."
    )
    certificate = replace(certificate, clauses=(*certificate.clauses, undecided))
    assert _terminal(certificate).count("Nobody listens.") == 1


def test_hostile_text_neither_steers_the_terminal_nor_is_taken_for_markup() -> None:
    output = _terminal(with_all_verdicts(), width=300)
    assert CONTROL.search(output) is None
    assert output.count(one_line(HOSTILE)) >= 8


def test_colour_follows_the_terminal_and_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m✓ PASS" in _terminal(holds(), force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert re.search(r"\x1b\[[0-9;]*3\d", _terminal(holds(), force_terminal=True)) is None
    assert "\x1b" not in _terminal(holds())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_of_the_terminal_loses_the_result(encoding: str) -> None:
    written = io.BytesIO()
    console = Console(file=io.TextIOWrapper(written, encoding=encoding), width=80)
    with LiveView(console) as view:
        for event in _events(with_all_verdicts()):
            view.feed(event)
    print_certificate(with_all_verdicts(), console)
    console.file.flush()
    text = written.getvalue().decode(encoding)
    assert (" FAIL " in text, " BROKEN " in text, "✗" in text) == (True, True, encoding == "utf-8")


# The live view


def _events(certificate: Certificate) -> Iterator[StreamEvent]:
    parts = words.groups(certificate)
    for (concern, target), records in parts.items():
        yield TargetPlanned(target, concern, tuple(record.planned for record in records))
    for (_, target), records in parts.items():
        yield TargetSmoked(target, Smoke(Trouble.SERVER, "down\x1b[2J") if target.startswith("logs") else Smoke())
        for record in records:
            yield ClauseStarted(target, record.result.clause)
            yield ClauseEnded(record.result)
    yield RunEnded(1.0)


def _watch_until(clause: str, certificate: Certificate, console: Console) -> None:
    """Feed a view until this clause has started, then press Ctrl-C."""
    with LiveView(console) as view:
        for event in _events(certificate):
            view(event)
            if isinstance(event, ClauseStarted) and event.clause == clause:
                raise KeyboardInterrupt


def test_without_a_terminal_there_is_one_line_per_backend() -> None:
    file = io.StringIO()
    with LiveView(Console(file=file, width=80)) as view:
        for event in _events(with_all_verdicts()):
            view(event)
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == "interactions=postgres: 2 clauses: 2 PASS (0.1 s)"
    assert lines[1].startswith("cache=redis: 8 clauses: 3 PASS, 1 FAIL, 1 NOT_SUPPORTED, 1 SKIPPED, 1 INCONCLUSIVE")
    assert lines[2].startswith("logs=<script>")
    assert lines[2].endswith("down\\x1b[2J")
    assert CONTROL.search("".join(lines)) is None


def test_an_interrupted_run_says_what_was_not_reached() -> None:
    file = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        _watch_until("CACHE-03", holds(), Console(file=file, width=80))
    assert "cache=redis: 3 clauses: 1 PASS, 2 not reached (0.0 s)" in file.getvalue()


def test_in_a_terminal_it_moves_and_gives_the_cursor_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    file = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        _watch_until("CACHE-07", with_all_verdicts(), Console(file=file, width=80, force_terminal=True, no_color=True))
    output = file.getvalue()
    assert "6/11 clauses" in output
    assert "✗ 1 FAIL" in output
    assert "(CACHE-06)" in output
    assert "CACHE-07" in output
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l"), "the cursor stays hidden"
