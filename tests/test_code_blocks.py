"""Every code block of README and docs is executed; what cannot be is marked with the reason, and still has real options.

A comment directly above a block says what is special about it:

<!-- not run: REASON -->                     it cannot be run here; it is counted
<!-- run by: tests/test_x.py::test_y -->     that test runs it, with what it needs
<!-- ends with 1: REASON -->                 its commands may end so (`0 or 3` for several)
<!-- output -->                              a block `text`: what the block before it prints

Blocks of a page share a directory, a shell and a Python. A block whose first line is a comment with a file's name is that file.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import click
import pytest
from conftest import SUMMARY
from documents import (
    CHANGELOG,
    CONTRIBUTING,
    DOCUMENTS,
    README,
    ROOT,
    SITE,
    Block,
    blocks,
    commands,
    text_without_blocks,
)
from executed_pages import LANGUAGES, BlockError, Page, compare

from stackproof.cli import cli

NOT_RUN_AT_MOST = 60
"""Blocks that are not run. A further one needs a reason that is better than that it is easier."""
MARKS = re.compile(r"not run: \S.*|run by: \S+|ends with \d+( or \d+)*: \S.*|output|")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_not_run(block: Block) -> bool:
    return block.mark.startswith("not run: ")


def is_run_elsewhere(block: Block) -> bool:
    return block.mark.startswith("run by: ")


PAGES = [
    document for document in DOCUMENTS if any(not is_not_run(b) and not is_run_elsewhere(b) for b in blocks(document))
]


@pytest.mark.parametrize("document", PAGES, ids=relative)
def test_the_blocks_of_a_page_do_what_it_says(document: Path, tmp_path: Path) -> None:
    with Page(tmp_path) as page:
        for block in blocks(document):
            if is_not_run(block) or is_run_elsewhere(block):
                continue
            trouble = ""
            try:
                page.run(block)
            except BlockError as error:
                trouble = str(error)
            if trouble:
                pytest.fail(f"{relative(document)}:{block.line}: {trouble}", pytrace=False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_block_has_a_language_and_a_mark_that_is_known(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    found = blocks(document)
    assert len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)) == 2 * len(found), (
        "a fence without a language, or indented"
    )
    for block in found:
        where = f"{relative(document)}:{block.line}"
        assert block.language in LANGUAGES, where
        assert MARKS.fullmatch(block.mark), f"{where}: <!-- {block.mark} -->"


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_a_block_that_another_test_runs_is_run_by_it(document: Path) -> None:
    for block in filter(is_run_elsewhere, blocks(document)):
        name, _, test = block.mark.removeprefix("run by: ").partition("::")
        source = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(rf"^ *def {test}\(", source, re.MULTILINE), block.mark
        assert document.stem.upper() in source or document.name in source, f"{name} does not read {document.name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_no_command_hides_in_an_indented_block(document: Path) -> None:
    prose = text_without_blocks(document)
    indented = re.findall(
        r"^(?: {4}|\t)+(?:\$ )?((?:stackproof|python3?|pip|pytest|export|eval|docker|curl) .*)$", prose, re.MULTILINE
    )
    assert indented == [], "such a block is not executed; fence it"


@pytest.mark.parametrize("document", SITE, ids=relative)
def test_a_fence_of_the_site_has_nothing_beside_its_language(document: Path) -> None:
    assert [block.told for block in blocks(document) if block.told] == [], "MkDocs shows such a block as text"


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_command_line_parses(document: Path) -> None:
    for line in commands(document):
        parse(line)


def parse(line: str) -> None:
    """Let click read a command line with the real commands and options; nothing is executed."""
    group: click.Group = cli
    words = shlex.split(line)[1:]
    context = click.Context(cli)
    while words and words[0] not in ("--help", "--version"):
        first, *words = words
        *others, name = first.split("|")  # up|down|status, in a sentence
        assert all(group.get_command(context, other) for other in others), line
        command = group.get_command(context, name)
        assert command is not None, line
        if not isinstance(command, click.Group):
            if words:  # without any, it is the name of a command in a sentence
                command.make_context(name, words)
            return
        group = command


def test_blocks_are_counted() -> None:
    found = [block for document in DOCUMENTS for block in blocks(document)]
    kinds = Counter(
        "not run" if is_not_run(block) else "run by another test" if is_run_elsewhere(block) else "run"
        for block in found
    )
    SUMMARY.append(
        f"code blocks of the documentation: {', '.join(f'{number} {kind}' for kind, number in kinds.items())}"
    )
    assert kinds["not run"] <= NOT_RUN_AT_MOST
    assert kinds["run"] > kinds["not run"]


def test_the_pages_that_have_blocks_are_all_looked_at() -> None:
    assert {README, CONTRIBUTING, CHANGELOG} <= set(DOCUMENTS)
    assert set((ROOT / "docs").rglob("*.md")) <= set(DOCUMENTS)


# The test itself can fail.


def block(language: str, code: str, mark: str = "") -> Block:
    return Block(mark, language, "", code)


@pytest.mark.parametrize(
    "wrong",
    [
        block("python", "assert 1 == 2\n"),
        block("python", "import sys; sys.exit()\n"),
        block("python", "import warnings; warnings.warn('old', DeprecationWarning)\n"),
        block("sh", "false\n"),
        block("sh", "true\nexit 0\n"),
        block("console", "$ false\n"),
        block("console", "$ echo one\ntwo\n"),
        block("console", "$ printf 'a\\nb\\nc\\n'\na\nc\n"),
        block("console", "$ false\n$ echo $?\n0\n"),
        block("console", "$ true\n", "ends with 3: it does not"),
        block("console", "$ stackproof verify --stack nowhere\n"),
        block("toml", "a = \n"),
        block("text", "something else\n", "output"),
    ],
    ids=lambda wrong: f"{wrong.language}: {wrong.code!r}",
)
def test_a_block_that_does_not_do_what_it_says_fails(wrong: Block, tmp_path: Path) -> None:
    with Page(tmp_path) as page:
        page.run(block("console", "$ echo printed\n"))
        with pytest.raises((BlockError, ValueError)):
            page.run(wrong)


def test_blocks_of_a_page_share_what_they_set(tmp_path: Path) -> None:
    with Page(tmp_path) as page:
        for each in (
            block("python", "# mine.py\nanswer = 42\n"),
            block("python", "import mine\nfound = mine.answer\n"),
            block("python", "print(found)\n"),
            block("text", "42\n", "output"),
            block("sh", "export NAME=spring\n"),
            block("console", "$ echo $NAME\nspring\n$ (exit 3)\n$ echo $?\n3\n"),
            block("console", "$ (exit 3)\n", "ends with 0 or 3: either"),
        ):
            page.run(each)


@pytest.mark.parametrize(
    "line",
    [
        "stackproof verify --no-such",
        "stackproof nothing",
        "stackproof servers sideways",
        "stackproof bench --rate much",
    ],
)
def test_a_command_line_with_a_mistake_is_seen(line: str) -> None:
    with pytest.raises((click.ClickException, AssertionError)):
        parse(line)


def test_what_is_shown_may_leave_lines_and_words_out() -> None:
    output = "one\n\n  two   words 17 s\nthree\nfour\n"
    compare("one\ntwo words ... s\n...\nfour\n", output)
    for wrong in ("one\nfour\n", "four\none\n", "one\ntwo words\n", "five\n"):
        with pytest.raises(BlockError):
            compare(wrong, output)
