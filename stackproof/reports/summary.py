"""The certificate as Markdown, for the summary of a CI's step or the comment of a bot. Pure.

Everything that a third party can name is written as text: in Markdown, in the HTML that Markdown lets through, and for
what GitHub and GitLab add (mentions, links made of bare addresses, emoji, formulas). What is long is cut, and says so: a
step's summary that is larger than a mebibyte is thrown away whole.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import PurePath

from stackproof.contracts.explain import explain
from stackproof.contracts.verdicts import Verdict
from stackproof.verification.certificate import Certificate, ClauseRecord

from .text import one_line, visible
from .words import SYMBOL, TONE, by_reason, counted, groups, meaning

LARGEST = 400_000
"""Bytes of a summary after which only the end follows; with what one more paragraph can have it is below half a mebibyte."""
LONGEST = 1_000
"""Characters of one text in a line."""
LONGEST_BLOCK = 4_000
"""Characters of an explanation."""
MOST_EXPLAINED = 25
"""Failed clauses that are explained; of the others there is a line."""

_ACTIVE = re.compile(r"[\\`*_{}\[\]<>#!|~&\"$^@]|:(?=\S)|(?<=www)\.", re.IGNORECASE)


def escaped(text: str) -> str:
    """Text that others chose, on one line: no markup in it is obeyed, wherever it stands after a word of ours."""
    return _ACTIVE.sub(_entity, _cut(one_line(text), LONGEST))


def block(text: str) -> str:
    """Text that others chose, as lines that are shown as they are; each on a line of its own, and none of it obeyed."""
    # Inside <pre> Markdown looks for its end only, and < is what it would begin with.
    return f"<pre>{re.sub(r'[<>&]', _entity, _cut(visible(text), LONGEST_BLOCK))}</pre>"


def render(certificate: Certificate) -> str:
    """A section of Markdown: the level, what was counted, and what did not hold, with how to repeat it."""
    text, end = "", "\n".join(_end(certificate))
    for part in _parts(certificate):
        if len(text.encode("utf-8", "backslashreplace")) > LARGEST:
            text += "\n**There is more than a summary holds: see the page of the run.**\n\n"
            break
        text += f"{part}\n"
    return f"{text}{end}\n"


def _parts(certificate: Certificate) -> Iterator[str]:
    """Lines and paragraphs, between any two of which the text can end."""
    names = ", ".join(dict.fromkeys(target.target for target in certificate.targets)) or "nothing"
    yield from (f"## {SYMBOL[TONE[certificate.level]]} {certificate.level}: {escaped(names)}", "")
    yield from (escaped(meaning(certificate)), "")
    yield from _table(certificate)
    yield from _trouble(certificate)
    yield from _failed(certificate)
    yield from _undecided(certificate)
    yield from _altered(certificate)


def _end(certificate: Certificate) -> Iterator[str]:
    yield from ("To repeat this verification:", "", block(certificate.command), "")
    interrupted = ", interrupted" if certificate.interrupted else ""
    yield escaped(
        f"stackproof {certificate.version}, profile {certificate.profile}, seed {certificate.seed}, "
        f"origin {certificate.origin}, {certificate.seconds:.1f} s{interrupted}; certificate {certificate.id}"
    )


def _table(certificate: Certificate) -> Iterator[str]:
    """A row a backend. Fidelity stands beside the numbers: what an emulator keeps, the technology need not keep."""
    verdicts = [verdict for verdict in Verdict if verdict in certificate.counts]
    servers = {server.name: server for server in certificate.servers}
    heads = ["backend", "server", "fidelity", *(f"{SYMBOL[verdict]} {verdict}" for verdict in verdicts)]
    yield f"| {' | '.join(map(escaped, heads))} |"
    yield "|---|---|---|" + "--:|" * len(verdicts)
    targets = {target.target: target for target in certificate.targets}
    for (_, name), records in groups(certificate).items():
        target = targets.get(name)
        server = servers.get(target.server) if target is not None else None
        of_server = f"{server.technology or server.name} {server.version}, {server.origin}" if server else "none"
        found = [record.result.verdict for record in records]
        cells = [name, of_server, target.fidelity if target is not None else "unknown"]
        cells += [str(found.count(verdict)) for verdict in verdicts]
        yield f"| {' | '.join(map(escaped, cells))} |"
    yield ""


def _trouble(certificate: Certificate) -> Iterator[str]:
    """What the first use found, unless it is told below as the reason of clauses that could not be decided."""
    reasons = [record.result.reason for record in certificate.clauses]
    for target in certificate.targets:
        if target.trouble != "none" and not any(target.trouble_sentence in reason for reason in reasons):
            what = f"The {escaped(target.trouble)} of {escaped(target.target)} is in trouble:"
            yield from (f"- **{what}** {escaped(target.trouble_sentence)}", "")


def _failed(certificate: Certificate) -> Iterator[str]:
    failed = [record for record in certificate.clauses if record.result.verdict is Verdict.FAIL]
    if not failed:
        return
    yield from (f"### {counted(len(failed), 'clause')} failed", "")
    for record in failed[:MOST_EXPLAINED]:
        yield "\n".join(_explained(record))
    left = failed[MOST_EXPLAINED:]
    if left:
        yield from (f"Not explained here, but in the page of the run, {'is' if len(left) == 1 else 'are'} also:", "")
        yield from (f"- {_head(record)}" for record in left)
        yield ""


def _explained(record: ClauseRecord) -> Iterator[str]:
    """What went wrong, for the author of the backend; what was done is folded away below it."""
    failure = record.result.failure
    yield from (
        f"#### {_head(record)}",
        "",
        f"**What went wrong:** {escaped(failure.headline if failure else record.result.reason)}",
        "",
    )
    lines = explain(record.result, record.planned).splitlines()[1:]
    said = [line.removeprefix("  ") for line in lines if not line.startswith(("  again: ", "  script: "))]
    yield from ("<details><summary>What was done, expected and seen</summary>", "", block("\n".join(said)), "")
    yield from ("</details>", "")
    if failure is not None and failure.again:
        yield from ("To repeat it:", "", block(_again(failure.again)), "")
    script = _script(failure.alone) if failure is not None else ""
    if script:
        yield from ("The same by the script that the run keeps; it needs stackproof, too:", "", block(script), "")


def _script(alone: str) -> str:
    """The command of a script for whoever reads this elsewhere, and without the folders of the machine that ran it."""
    words = _words(alone)
    if len(words) != 2:
        return ""  # no form that a run ever wrote
    path = PurePath(words[1])
    return f"python {shlex.quote(str(PurePath(*path.parts[-2:]) if path.is_absolute() else path))}"


def _again(again: str) -> str:
    """The command that repeats a failure, which names a run elsewhere than in the usual place by its last folder only."""
    words = _words(again)
    if words[:2] == ["stackproof", "replay"] and len(words) == 3 and words[2].startswith("/"):
        return f"stackproof replay {shlex.quote(PurePath(words[2]).name)}"
    return again


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation without an end, which no command of ours has
        return []


def _head(record: ClauseRecord) -> str:
    result = record.result
    return (
        f"{SYMBOL[result.verdict]} {escaped(result.clause)} {escaped(record.planned.rule)} ({escaped(result.target)})"
    )


def _undecided(certificate: Certificate) -> Iterator[str]:
    """What has one reason is told once."""
    told = (Verdict.INCONCLUSIVE, Verdict.SKIPPED, Verdict.PROVISIONAL)
    records = [record for record in certificate.clauses if record.result.verdict in told]
    if not records:
        return
    yield from ("### Not decided, which is not a pass", "")
    for (target, verdict, reason), these in by_reason(records).items():
        ids = escaped(", ".join(record.result.clause for record in these))
        why = escaped(reason or "No reason was given.")
        yield f"- {SYMBOL[verdict]} **{escaped(str(verdict))}** {escaped(target)}: {ids}. {why}"
        again = next((_again(record.result.failure.again) for record in these if record.result.failure), "")
        if again:
            yield f"  <br>To repeat it: <code>{escaped(again)}</code>"
    yield ""


def _altered(certificate: Certificate) -> Iterator[str]:
    altered = [record.result for record in certificate.clauses if record.result.altered]
    if not altered:
        return
    yield from (f"### {counted(len(altered), 'clause')} altered: not those of the suite", "")
    yield from (
        f"- {escaped(result.clause)} of {escaped(result.target)}: {escaped(result.altered)}" for result in altered
    )
    yield ""


def _entity(found: re.Match[str]) -> str:
    """As a number: a character that is written so is never the beginning or the end of any markup."""
    return f"&#{ord(found.group())};"


def _cut(text: str, longest: int) -> str:
    left = len(text) - longest
    return text if left <= 0 else f"{text[:longest]} ... ({left} more characters: see the page of the run)"
