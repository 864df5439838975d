"""The summary in Markdown and the badge: they tell what the certificate tells, nothing in them is obeyed, no badge is stale."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import certificate_samples as samples
import pytest
from command_line import stackproof
from markdown_it import MarkdownIt

from stackproof.contracts.verdicts import Failure, Verdict
from stackproof.reports import badge, summary
from stackproof.verification.certificate import Certificate

MARKUP = (
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png) @octocat #1 https://evil.example www.evil.example | a | b | "
    "**bold** _it_ `code` ~~gone~~ </details></pre></code> <img src=x onerror=alert(1)> <!-- $x^2$ :tada: &copy; \\\\ [ref]: /x "
    "\n# heading\n\n- item\n\n    indented\n```\nfence\n---\n1. one\n"
)
OURS = {
    "h2",
    "h3",
    "h4",
    "p",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "pre",
    "code",
    "ul",
    "li",
    "details",
    "summary",
}
OURS |= {"strong", "br"}


class Read(HTMLParser):
    """The tags and the text of a rendered summary."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")


def read(markdown: str) -> Read:
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return Read(renderer.render(markdown))


def hostile(text: str) -> Certificate:
    """A certificate in which a third party chose everything that it can choose."""
    target = "cache=" + text
    record = replace(samples.holds().targets[1], target=target, trouble="backend", trouble_sentence=f"first {text}")
    failure = Failure(text, (text,), text, text, text, text)
    clauses = [
        samples.clause(
            "CACHE-01", text, target=target, verdict=Verdict.FAIL, failure=failure, notes=(text,), altered=text
        )
    ]
    clauses += [
        samples.clause(f"CACHE-1{n}", text, target=target, verdict=verdict, reason=text)
        for n, verdict in enumerate((Verdict.INCONCLUSIVE, Verdict.SKIPPED, Verdict.PROVISIONAL))
    ]
    server = replace(samples.REDIS, version=text)
    return replace(
        samples.holds(), targets=(record,), servers=(server,), clauses=tuple(clauses), command=text, profile=text
    )


# The summary


@pytest.mark.parametrize(
    ("sample", "level"), [(samples.holds, "HOLDS"), (samples.with_all_verdicts, "BROKEN")], ids=["holds", "broken"]
)
def test_the_summary_begins_with_the_level_and_counts_every_verdict(
    sample: Callable[[], Certificate], level: str
) -> None:
    certificate = sample()
    page = read(summary.render(certificate))
    assert re.match(rf"\W+{level}: interactions=postgres, cache=redis", page.text)
    table = page.text.partition("fidelity")[2]
    for verdict in certificate.counts:
        assert f" {verdict}" in table
    assert table.count("embedded") >= 2
    assert "native" in table


def test_a_failure_says_what_went_wrong_and_how_to_repeat_it() -> None:
    page = read(summary.render(samples.with_all_verdicts()))
    assert "2 clauses failed" in page.text
    assert "CACHE-06 A ttl is kept to the fraction of a second. (cache=redis)" in page.text
    assert "an entry with a ttl of 0.4 s, after 1.5 s: expected missing" in page.text
    assert 'cache.get("k") -> "v"' in page.text
    again = "stackproof verify --backend cache=mypkg.cache:make --clause CACHE-06 --seed 1"
    assert page.text.count(again) == 1


@pytest.mark.parametrize(
    ("alone", "script"),
    [
        ("/opt/acme/python3 runs/2027/cache-redis-CACHE-06.py", "python runs/2027/cache-redis-CACHE-06.py"),
        ("python '/opt/acme/a run/cache-redis-CACHE-06.py'", "python 'a run/cache-redis-CACHE-06.py'"),
    ],
)
def test_the_script_of_a_failure_is_told_without_the_folders_of_the_machine(alone: str, script: str) -> None:
    certificate = samples.with_all_verdicts()
    clauses = tuple(
        replace(record, result=replace(record.result, failure=replace(record.result.failure, alone=alone)))
        if record.result.failure
        else record
        for record in certificate.clauses
    )
    page = read(summary.render(replace(certificate, clauses=clauses)))
    assert f"it needs stackproof, too:\n{script}\n" in page.text
    assert "Without stackproof" not in page.text
    assert "/opt/acme" not in page.text


def test_a_run_of_another_place_is_named_by_its_last_folder() -> None:
    certificate = samples.with_all_verdicts()
    record = next(record for record in certificate.clauses if record.result.failure)
    assert record.result.failure is not None
    failure = replace(record.result.failure, again="stackproof replay /opt/acme/stackproof-run:CACHE-06")
    shown = replace(certificate, clauses=(replace(record, result=replace(record.result, failure=failure)),))
    page = read(summary.render(shown))
    assert "\nstackproof replay stackproof-run:CACHE-06\n" in page.text
    assert "/opt/acme" not in page.text


def test_what_was_not_decided_is_told_with_its_reason_and_is_no_pass() -> None:
    page = read(summary.render(samples.with_all_verdicts()))
    told = page.text.partition("Not decided, which is not a pass")[2]
    assert "INCONCLUSIVE cache=redis: CACHE-07. too little evidence: round trips: 1 of 3" in told
    assert "SKIPPED cache=redis: CACHE-09" in told
    assert "PROVISIONAL cache=redis: CACHE-10" in told
    assert "Not decided" not in summary.render(samples.holds())
    assert "test_delete_tells was overridden in TestMine" in page.text
    assert ", interrupted; certificate" in page.text


def test_trouble_before_the_first_clause_is_told_once() -> None:
    target = replace(samples.holds().targets[1], trouble="harness", trouble_sentence="there is no factory")
    alone = replace(samples.holds(), targets=(target,), clauses=())
    assert "The harness of cache=redis is in trouble: there is no factory" in read(summary.render(alone)).text
    reason = "the harness does not work: there is no factory"
    undecided = samples.clause("CACHE-01", "x", verdict=Verdict.INCONCLUSIVE, reason=reason)
    assert read(summary.render(replace(alone, clauses=(undecided,)))).text.count("there is no factory") == 1


@pytest.mark.parametrize("text", [samples.HOSTILE, MARKUP, "|", "\n", "```", "</pre><script>", "<" * 3000])
def test_nothing_that_a_third_party_names_is_obeyed(text: str) -> None:
    written = summary.render(hostile(text))
    page = read(written)
    assert set(page.tags) <= OURS
    assert [name for name in page.attributes if name not in ("style",)] == []
    ours = read(summary.render(hostile("plain")))
    assert [t for t in page.tags if t != "br"] == [t for t in ours.tags if t != "br"]  # no structure of its own
    written.encode("utf-8")
    # What GitHub and GitLab add to Markdown outside of blocks: mentions, references, bare addresses, emoji, formulas.
    outside = re.sub(r"<pre>.*?</pre>", "", written, flags=re.DOTALL)
    assert not re.search(r"@octocat|#1\b(?!;)|https://evil|www\.evil|:tada:|\$x", outside)


def test_hostile_text_is_shown_not_lost() -> None:
    page = read(summary.render(hostile(MARKUP)))
    assert "[click](javascript:alert(1))" in page.text
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "@octocat #1 https://evil.example www.evil.example | a | b |" in page.text


def test_a_summary_stays_below_what_a_ci_takes() -> None:
    long = "<&" * 100_000
    one = hostile(long)
    many = replace(one, clauses=one.clauses * 200)
    written = summary.render(many)
    assert len(written.encode("utf-8")) < 1 << 20
    page = read(written)
    assert "more characters: see the page of the run" in page.text
    assert "There is more than a summary holds: see the page of the run." in page.text
    assert page.tags.count("details") == written.count("</details>")
    assert page.text.rstrip().endswith("more characters: see the page of the run)")
    plain = hostile("plain")
    few = read(summary.render(replace(plain, clauses=plain.clauses[:1] * (summary.MOST_EXPLAINED + 2))))
    assert few.tags.count("details") == summary.MOST_EXPLAINED
    assert few.text.partition("but in the page of the run, are also:")[2].count("CACHE-01 plain") == 2


# The badge


def test_a_complete_certificate_has_a_badge_that_is_alone_in_its_file() -> None:
    text = badge.render(samples.holds())
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label") == "2 contracts: holds"
    assert "interactions=postgres, cache=redis" in text
    assert not re.search(r"href|url\(|@import|<script|<image", text)
    assert re.findall(r"https?://\S+?(?=\")", text) == ["http://www.w3.org/2000/svg"]
    assert badge.is_badge(text)
    assert not badge.is_badge("<svg><!-- another one --></svg>")


@pytest.mark.parametrize("fidelity", ["emulator", "compatible-engine"])
def test_a_badge_says_what_it_was_shown_on(fidelity: str) -> None:
    certificate = samples.holds()
    targets = (certificate.targets[0], replace(certificate.targets[1], fidelity=fidelity))
    assert f"holds on a{'n' if fidelity[0] == 'e' else ''} {fidelity.replace('-', ' ')}" in badge.render(
        replace(certificate, targets=targets)
    )


def test_a_badge_shows_hostile_text_and_survives_it() -> None:
    certificate = samples.holds()
    targets = tuple(replace(t, target=MARKUP + samples.HOSTILE, concern=samples.HOSTILE) for t in certificate.targets)
    named = {t.target: MARKUP + samples.HOSTILE for t in certificate.targets}
    clauses = tuple(
        replace(r, result=replace(r.result, target=named[r.result.target], concern=samples.HOSTILE))
        for r in certificate.clauses
    )
    root = ET.fromstring(badge.render(replace(certificate, targets=targets, clauses=clauses)))
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {"svg", "title", "desc", "rect", "g", "text"}


@pytest.mark.parametrize(
    "certificate",
    [
        samples.with_all_verdicts(),
        replace(samples.holds(), interrupted=True),
        replace(samples.holds(), selected=("CACHE-01",)),
        replace(samples.holds(), clauses=()),
        replace(
            samples.holds(),
            clauses=(*samples.holds().clauses, samples.clause("CACHE-09", "x", verdict=Verdict.SKIPPED)),
        ),
    ],
    ids=["broken", "interrupted", "selected", "nothing", "skipped"],
)
def test_nothing_else_has_one(certificate: Certificate) -> None:
    assert badge.refusal(certificate)
    with pytest.raises(ValueError, match="there is no badge"):
        badge.render(certificate)


# The commands


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a complete run in `run`, and what was asked for beside it."""
    place = tmp_path_factory.mktemp("complete")
    (place / "summary.md").write_text("# Before\n", encoding="utf-8")
    done = stackproof(
        *("verify", "--backend", "events=memory", "--out", "run"),
        *("--summary", "summary.md", "--badge", "badge.svg", "--junit", "junit.xml"),
        cwd=place,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_verify_adds_to_a_summary_and_writes_a_badge(complete: Path) -> None:
    text = (complete / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("# Before\n\n## ")
    assert "HOLDS: events=memory" in read(text).text
    assert ET.parse(complete / "badge.svg").getroot().get("aria-label") == "events contract: holds"


def test_report_does_the_same_from_a_kept_run(complete: Path, tmp_path: Path) -> None:
    arguments = ("report", str(complete / "run"), "--summary", "-", "--badge", "again.svg", "--json", "told.json")
    done = stackproof(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## ")
    assert (complete / "summary.md").read_text(encoding="utf-8").endswith(done.stdout)
    assert (tmp_path / "again.svg").read_text() == (complete / "badge.svg").read_text()
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["summary"], told["badge"], told["pages"]) == ("-", "again.svg", [])


def test_a_green_badge_goes_before_anything_else_happens(complete: Path, tmp_path: Path) -> None:
    """Whatever ends a verification: what it was asked for may not be known, but an old answer is none."""
    target = tmp_path / "badge.svg"
    for arguments, code in (
        (("--backend", "events=memory", "--clause", "EVENT-01"), 3),
        (("--backend", "events=nowhere.at:all"), 2),
        (("--backend", "events=unknown"), 2),
        (("--backend", "events=memory", "--out", str(complete / "run")), 2),
    ):
        target.write_bytes((complete / "badge.svg").read_bytes())
        done = stackproof("verify", *arguments, "--badge", "badge.svg", cwd=tmp_path)
        assert done.returncode == code, (arguments, done.stderr)
        assert not target.exists(), arguments
    done = stackproof("verify", "--backend", "events=memory", "--clause", "EVENT-01", "--badge", "b.svg", cwd=tmp_path)
    sentences = [line for line in done.stderr.splitlines() if "was not written" in line]
    assert len(sentences) == 1
    assert "PARTIAL" in sentences[0]


def test_only_a_badge_of_ours_is_ever_removed(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    (tmp_path / "other.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    (tmp_path / "away.svg").symlink_to("nowhere.svg")
    for name in ("README.md", "other.svg", "away.svg", os.devnull, "nowhere/badge.svg", "-"):
        done = stackproof("verify", "--backend", "cache=memory", "--badge", name, cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), (name, done.stderr)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "other.svg").exists()
    assert Path(os.devnull).exists()
    assert not (tmp_path / ".stackproof").exists()


def test_a_kept_certificate_that_was_changed_has_neither(complete: Path, tmp_path: Path) -> None:
    kept = json.loads((complete / "run" / "certificate.json").read_text(encoding="utf-8"))
    kept["clauses"] = kept["clauses"][1:]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "certificate.json").write_text(json.dumps(kept), encoding="utf-8")
    (tmp_path / "badge.svg").write_bytes((complete / "badge.svg").read_bytes())
    done = stackproof("report", "run", "--summary", "s.md", "--badge", "badge.svg", cwd=tmp_path)
    assert done.returncode == 5
    assert "is not sound, it proves nothing" in done.stderr
    assert not (tmp_path / "badge.svg").exists()
    assert not (tmp_path / "s.md").exists()


def test_a_badge_is_of_what_is_installed(tmp_path: Path) -> None:
    """The certificate of a backend that nobody has here may be true; the badge would say that it is."""
    (tmp_path / "run").mkdir()
    (tmp_path / "mine.py").write_text("from stackproof.adapters.events.memory import MemoryEventPublisher as make\n")
    made = stackproof("verify", "--backend", "events=mine:make", "--out", "mine", "--badge", "b.svg", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "b.svg").exists()
    (tmp_path / "mine.py").write_text("from stackproof.adapters.events.memory_log import MemoryEventLog as make\n")
    done = stackproof("report", "mine", "--badge", "b.svg", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "b.svg was not written" in done.stderr
    assert not (tmp_path / "b.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("verify", "--summary", "", "--backend", "cache=memory"), "--summary is empty"),
        (("verify", "--summary", "a", "--badge", "./a", "--backend", "cache=memory"), "a is given for two results"),
        (("verify", "--summary", "-", "--json", "-", "--backend", "cache=memory"), "can have standard output"),
        (("verify", "--check", "x.json", "--badge", "b.svg"), "--check and --badge exclude each other"),
        (("report", "run", "--summary", "-", "--jsonl", "x"), "ask for one of them"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    done = stackproof(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_run_without_a_record_has_no_badge(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    done = stackproof("report", "run", "--badge", "b.svg", cwd=tmp_path)
    assert done.returncode == 6
    assert "holds no certificate.json: that run kept no record" in done.stderr
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    done = stackproof("report", "run", "--badge", "b.svg", cwd=tmp_path)
    assert done.returncode == 2
    assert "only a verification has a summary and a badge" in done.stderr


def test_a_summary_that_cannot_be_written_takes_nothing_else_with_it(tmp_path: Path) -> None:
    done = stackproof(
        *("verify", "--backend", "cache=memory", "--clause", "CACHE-01"),
        *("--summary", "/dev/full", "--junit", "j.xml"),
        cwd=tmp_path,
    )
    assert done.returncode == 4
    assert "/dev/full cannot be written" in done.stderr
    assert (tmp_path / "j.xml").exists()
