"""The page of an audit, and what the terminal shows of it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from audit_samples import HONEST, NOTHING, hostile
from certificate_samples import HOSTILE
from rich.console import Console

from stackproof.planning.headroom import Headroom
from stackproof.reports.audit_chart import headroom_chart
from stackproof.reports.audit_page import render
from stackproof.reports.audit_terminal import print_audit
from stackproof.reports.audit_text import room_text
from stackproof.reports.text import one_line

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202e\ufffe]")
SAMPLES = (HONEST, NOTHING, hostile(), replace(HONEST, interrupted=True), replace(HONEST, findings=()))


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def shown(audit: Any, width: int = 200) -> str:
    file = io.StringIO()
    print_audit(audit, Console(file=file, width=width), Path("runs") / "x")
    return file.getvalue()


@pytest.mark.parametrize("audit", SAMPLES)
def test_the_page_loads_nothing_and_runs_nothing(audit: Any) -> None:
    html = render(audit)
    page = Page(html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "img", "object", "embed", "base", "form"})
    for tag, attributes in page.elements:
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag == "link" or attributes.get("href", "#").startswith("#")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"][1:] for tag, attributes in page.elements if tag == "a"}
    assert links <= set(ids)
    assert "@import" not in html


def test_hostile_names_are_shown_and_do_nothing() -> None:
    html = render(hostile())
    assert html.encode("utf-8")
    assert CONTROL.search(html) is None
    assert "<script" not in html
    assert Page(html).text.count(one_line(HOSTILE)) >= 30


def test_hostile_names_neither_steer_the_terminal_nor_are_taken_for_markup() -> None:
    output = shown(hostile(), 2_000)
    assert CONTROL.search(output.replace("\n", "")) is None
    assert output.count("[bold red]m[/]") >= 10


def test_the_measured_rate_stands_beside_the_claimed_one_with_an_interval() -> None:
    for text in (Page(render(HONEST)).text, shown(HONEST)):
        assert "stack development" in text
        assert "400 to 420 decisions/s" in text
        assert "0.12/s" in text
        assert "10,000 decisions/day" in text
        assert "3,456 to 3,629 times" in text
    lines = shown(HONEST).splitlines()
    assert "The stack development" in next(line for line in lines if line.strip())


def test_each_claim_has_a_verdict_on_the_page_and_in_the_terminal() -> None:
    page, terminal = Page(render(HONEST)), shown(HONEST)
    for finding in HONEST.findings:
        assert re.search(rf"{finding.claim}\s+\S {finding.verdict}", terminal), finding.claim
        assert finding.claim in page.text
        for sentence in (*finding.argument, *finding.caveats):
            assert re.sub(r"\s+", " ", sentence) in page.text
    verdicts = [a for tag, a in page.elements if tag == "section" and a.get("id", "").startswith("claim-")]
    assert len(verdicts) == len(HONEST.findings)


def test_a_cost_of_nothing_shows_what_is_added_at_each_volume() -> None:
    assert "$0.00 to $417.55 (cost)" in shown(HONEST)
    text = Page(render(HONEST)).text
    assert "$39.77" in text
    assert "at least $109.94" in text
    assert "whether one PostgreSQL carries" in text


def test_what_was_not_measured_says_what_to_type_and_why() -> None:
    for text in (Page(render(HONEST)).text, shown(HONEST)):
        assert "stackproof bench --scenario summaries --find-max" in text
        assert "no time was left" in text
        assert "it was cut short" in text  # of a run that is left out
    for text in (Page(render(NOTHING)).text, shown(NOTHING)):
        assert "No rate that is claimed was measured on this machine" in " ".join(text.split())
        assert "come with the package, on which" in " ".join(text.split())
        assert "do not count in an audit" in " ".join(text.split())


def test_the_tables_of_two_backends() -> None:
    for text in (Page(render(HONEST)).text, shown(HONEST)):
        assert "500 to 510" in text
        assert "60 to 70" in text
        assert "search=postgres is ahead up to 10,000 records, search=opensearch from 100,000 on" in text
        assert "at least 300" in text
    assert "only one was measured" not in Page(render(HONEST)).text
    assert "told beside" in Page(render(HONEST)).text


def test_what_was_cut_short_is_told_first() -> None:
    text = Page(render(replace(HONEST, interrupted=True, trouble="The embedded PostgreSQL did not start."))).text
    assert text.index("Cut short") < text.index("The claims")
    assert text.index("did not start") < text.index("The claims")
    assert "did not start" in shown(replace(HONEST, trouble="it did not start"))


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (None, "not known"),
        (Headroom("a", 0.0, None), "not known"),
        (Headroom("a", 0.0, 0.5), "0 to 0.5 times"),
        (Headroom("a", 2.0, None), "at least 2 times"),
    ],
)
def test_a_head_room_of_nothing_known_is_not_known(room: Headroom | None, text: str) -> None:
    assert room_text(room) == text


def test_the_chart_draws_what_is_known_at_all_and_nothing_for_none() -> None:
    assert headroom_chart([]) == ""
    assert headroom_chart([("a", Headroom("d", 0.0, None))]) == ""
    chart = str(
        headroom_chart(
            [("$x$ <b>", Headroom("d", 3.0, None)), ("b", Headroom("d", 0.0, 1.0)), ("c", Headroom("d", 1e-9, 1e12))]
        )
    )
    assert "$x$ &lt;b&gt;" in chart
    assert 'role="img"' in chart
    assert "<b>" not in chart


def test_a_narrow_terminal_has_a_line_for_each_claim_and_no_column_of_letters() -> None:
    output = shown(HONEST, 80)
    assert max(len(line) for line in output.splitlines() if "stackproof bench" not in line) <= 80
    for finding in HONEST.findings:
        assert re.search(rf"^{finding.claim}\s+\S {finding.verdict}$", output, re.MULTILINE), finding.claim
    assert "claimed: 0 USD/month; measured or computed: $0.00" in output
    command = next(one.command for one in HONEST.not_measured if one.reachable and not one.alone)
    assert f"  {command}\n" in output, "a command stays on one line"


def test_the_arguments_are_folded_and_a_link_leads_into_them() -> None:
    page = render(HONEST)
    assert page.count('<section class="entry') == page.count("</section>\n</details>") == len(HONEST.findings)
    assert "it may be availability" in page
    assert "it may be" not in shown(HONEST)
