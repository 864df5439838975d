"""Every page in a real browser: it loads nothing, fits a phone, is read by everyone, and survives hostile names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_examples import EXAMPLES, Example, html_of
from real_browser import browser as browser  # a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, TABLET, DESK = 360, 768, 1440
SCHEMES = ("light", "dark")
SMALLEST_TEXT = 8.5
"""Height in CSS pixels of the box of a chart's smallest text on a phone."""


@dataclass
class Opened:
    """A page from disk in the browser, and what it did beside being shown."""

    page: Page
    address: str
    requests: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """What its console said, errors of scripts, dialogs."""

    def ask(self, script: str, *values: Any) -> Any:
        return self.page.evaluate(script, *values)

    def resize(self, width: int) -> None:
        self.page.set_viewport_size({"width": width, "height": 900})


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda example: example.name)
def example(request: pytest.FixtureRequest) -> Example:
    found: Example = request.param
    return found


@pytest.fixture(scope="module")
def opened(example: Example, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(html_of(example), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    made = Opened(page, file.as_uri())
    page.on("request", lambda request: made.requests.append(request.url))
    page.on("console", lambda message: made.told.append(message.text))
    page.on("pageerror", lambda error: made.told.append(str(error)))
    page.on("dialog", lambda dialog: (made.told.append(dialog.message), dialog.dismiss()))
    page.goto(made.address, wait_until="load")
    yield made
    context.close()


def test_it_opens_from_disk_and_asks_nobody_for_anything(opened: Opened) -> None:
    opened.resize(DESK)
    assert opened.requests == [opened.address]
    assert opened.told == []
    foreign = "script, img, iframe, object, embed, base, form, link[rel=stylesheet]"
    assert opened.ask(f"document.querySelectorAll('{foreign}').length") == 0
    assert opened.ask("document.compatMode") == "CSS1Compat"


def test_it_shows_what_it_is_about(opened: Opened, example: Example) -> None:
    opened.resize(DESK)
    seen = " ".join(opened.page.inner_text("body").split())
    assert [text for text in example.shows if text.lower() not in seen.lower()] == []
    assert opened.page.title().endswith("stackproof")


@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_nothing_is_wider_than_the_screen(opened: Opened, width: int) -> None:
    opened.resize(width)
    assert opened.ask("document.documentElement.scrollWidth") <= width
    assert opened.ask(_STICKING_OUT, width) == []


@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_no_text_is_squeezed_into_a_column_of_letters(opened: Opened, width: int) -> None:
    opened.resize(width)
    assert opened.ask(_SQUEEZED) == []


# On a phone the head of a table of cards is there for screen readers only, a pixel wide.
_SQUEEZED = """() => [...document.querySelectorAll('main td, main th, main td *, main dd, main p, main li')]
  .filter(element => !element.closest('.hidden, svg') && element.checkVisibility())
  .filter(element => (element.closest('thead') ?? document.body).getBoundingClientRect().width > 1)
  .flatMap(element => [...element.childNodes])
  .filter(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim().length > 3)
  .map(node => { const range = document.createRange(); range.selectNodeContents(node); return [node, range]; })
  .filter(([_, range]) => range.getClientRects().length > 2 && range.getBoundingClientRect().width < 30)
  .map(([node]) => `${node.parentElement.tagName}.${node.parentElement.className}: ${node.textContent.slice(0, 30)}`)
  .slice(0, 5)"""
_STICKING_OUT = """width => [...document.querySelectorAll('main *, body > header *, body > footer *')]
  .filter(element => !element.closest('.scroll, .hidden, .skip, svg, thead') && element.checkVisibility())
  .map(element => [element, element.getBoundingClientRect()])
  .filter(([_, box]) => box.width > 0 && (box.right > width + 1 || box.left < -1))
  .map(([element, box]) => `${element.tagName}.${element.className} to ${box.right}: ${element.textContent.slice(0, 40)}`)
  .slice(0, 5)"""


def test_charts_fit_and_can_be_read_on_a_phone_and_on_a_desk(opened: Opened) -> None:
    for width, kind in ((PHONE, "narrow"), (DESK, "wide")):
        opened.resize(width)
        for chart in opened.ask(_CHARTS):
            assert chart["kind"] == kind
            assert chart["smallest"] >= SMALLEST_TEXT, chart
            assert chart["outside"] == [], chart
            assert chart["label"], "a screen reader says what it is"
            assert chart["table"], "its figures are in a table too"


_CHARTS = """() => [...document.querySelectorAll('svg.chart')].filter(svg => svg.checkVisibility()).map(svg => {
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  return {
    kind: svg.classList.contains('narrow') ? 'narrow' : 'wide',
    label: svg.getAttribute('aria-label'),
    smallest: Math.min(...texts.map(([_, box]) => box.height)),
    outside: texts.filter(([_, box]) => box.left < frame.left - 1 || box.right > frame.right + 1).map(([text]) => text),
    table: svg.closest('figure').nextElementSibling.querySelector('table') !== null,
  };
})"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing_that_keeps_somebody_out(opened: Opened, scheme: str, width: int) -> None:
    axe = Axe()
    opened.resize(width)
    opened.page.emulate_media(color_scheme=scheme)
    # Folded parts are read too.
    opened.ask("document.querySelectorAll('details').forEach(part => part.open = true)")
    results = axe.run(opened.page)
    assert results.response["passes"], "axe looked at something"
    assert results.violations_count == 0, results.generate_report()


def test_the_scheme_changes_the_colours_of_page_and_charts(opened: Opened) -> None:
    colours = {}
    for scheme in SCHEMES:
        opened.page.emulate_media(color_scheme=scheme)
        colours[scheme] = opened.ask(_COLOURS)
    assert sum(colours["light"]["paper"]) > 600 > 200 > sum(colours["dark"]["paper"])
    for light, dark in zip(colours["light"]["charts"], colours["dark"]["charts"], strict=True):
        assert light != dark


_COLOURS = """() => {
  const numbers = colour => colour.match(/[0-9]+/g).slice(0, 3).map(Number);
  return {
    paper: numbers(getComputedStyle(document.body).backgroundColor),
    charts: [...document.querySelectorAll('svg.chart')].map(svg => numbers(getComputedStyle(svg.querySelector('text')).fill)),
  };
}"""


def test_headings_and_landmarks_are_in_order(opened: Opened) -> None:
    levels = opened.ask(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(heading => Number(heading.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    for landmark in ("main", "body > header", "body > footer"):
        assert opened.ask(f"document.querySelectorAll('{landmark}').length") == 1
    assert opened.ask("document.documentElement.lang") == "en"
    broken = """[...document.querySelectorAll('a[href^="#"]')].map(link => link.getAttribute('href').slice(1))
        .filter(id => document.getElementById(id) === null)"""
    assert opened.ask(broken) == []
    doubled = """[...document.querySelectorAll('[id]')].map(element => element.id)
        .filter((id, place, all) => all.indexOf(id) !== place)"""
    assert opened.ask(doubled) == []


def test_a_keyboard_reaches_the_content_first_and_sees_where_it_is(opened: Opened) -> None:
    opened.page.reload()
    opened.page.keyboard.press("Tab")
    assert opened.ask("document.activeElement.className") == "skip"
    assert opened.ask("document.activeElement.getBoundingClientRect().top") >= 0
    assert opened.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.page.keyboard.press("Enter")
    assert opened.ask("document.activeElement.tagName") == "MAIN"


def test_paper_has_all_of_it_in_dark_ink(opened: Opened) -> None:
    opened.page.reload()
    opened.page.emulate_media(media="print", color_scheme="dark")
    try:
        assert opened.ask(_COLOURS)["paper"] == [255, 255, 255]
        folded = """[...document.querySelectorAll('details')]
            .filter(part => part.lastElementChild.getBoundingClientRect().height < 10).length"""
        assert opened.ask(folded) == 0, "what is folded on a screen is printed"
    finally:
        opened.page.emulate_media(media="screen", color_scheme="light")


def test_nothing_moves_for_those_who_asked_for_that(opened: Opened) -> None:
    for wish, behaviour in (("reduce", "auto"), ("no-preference", "smooth")):
        opened.page.emulate_media(reduced_motion=wish)
        assert opened.ask("getComputedStyle(document.documentElement).scrollBehavior") == behaviour
    assert opened.ask("document.getAnimations().length") == 0


def test_links_lead_only_within_the_page_or_beside_it(opened: Opened, example: Example) -> None:
    folder = opened.address.rpartition("/")[0] + "/"
    leads = opened.ask("[...document.querySelectorAll('a')].map(link => link.href)")
    assert all(link.startswith(folder) for link in leads), leads
    if not example.name.startswith("index"):
        assert all(link.startswith(opened.address + "#") for link in leads)


def test_the_browser_tests_would_see_a_page_that_does_all_this_wrong(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text('<h1>x</h1><h3>y</h3><img src="missing.png"><div style="width:2000px">z</div>', encoding="utf-8")
    page = browser.new_page(viewport={"width": PHONE, "height": 900})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri(), wait_until="load")
    assert len(requests) == 2
    assert page.evaluate("document.documentElement.scrollWidth") > PHONE
    axe = Axe()
    found = {violation["id"] for violation in axe.run(page).response["violations"]}
    assert {"image-alt", "html-has-lang", "document-title"} <= found
    page.close()
