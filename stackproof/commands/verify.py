"""`stackproof verify`: hold backends to their contracts and write a certificate."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stackproof.interfaces import ConfigurationError
from stackproof.interruption import held_interruptions
from stackproof.targets import Target, parse_targets

from .options import (
    backend_option,
    check_targets,
    json_option_checked_later,
    origin_option,
    out_option,
    result_console,
    seed_option,
    stack_option,
    write_result,
)
from .publishing import append_summary, badge_option, prepare, summary_option, write_badge

if TYPE_CHECKING:
    from rich.console import Console

    from stackproof.verification.certificate import Certificate
    from stackproof.verification.run import VerifyOptions


@dataclass(frozen=True, slots=True)
class Results:
    """The files that were asked for beside the run."""

    junit: Path | None
    json: str | None
    summary: str | None
    badge: Path | None

    @property
    def names(self) -> list[str]:
        return [str(file) for file in (self.junit, self.json, self.summary, self.badge) if file is not None]

    def check(self) -> None:
        """Refuse what cannot be written, and take an old badge away, before anything is verified."""
        if self.names.count("-") > 1:
            raise ConfigurationError("only one of --junit, --json and --summary can have standard output (-)")
        prepare(self.summary, self.badge)
        check_targets(*self.names)

    def writers(self, certificate: Certificate) -> Iterator[Callable[[], object]]:
        from stackproof.reports import junit
        from stackproof.verification.certificate import to_json

        if self.junit is not None:
            yield partial(write_result, str(self.junit), junit.render(certificate))
        if self.json is not None:
            yield partial(write_result, self.json, to_json(certificate))
        if self.summary is not None:
            yield partial(append_summary, certificate, self.summary)
        if self.badge is not None:
            yield partial(write_badge, certificate, self.badge)


@click.command()
@stack_option
@backend_option
@origin_option
@click.option(
    "--profile", type=click.Choice(["core", "full"]), default="core", show_default=True, help="Which clauses."
)
@click.option("--clause", "clauses", multiple=True, metavar="ID", help="Only this clause. May be repeated.")
@seed_option
@out_option
@click.option(
    "--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write JUnit XML."
)
@summary_option
@badge_option
@click.option(
    "--check",
    "certificate_name",
    metavar="CERTIFICATE",
    help="Verify nothing: say whether this certificate (a file or a run) is sound and still holds.",
)
@json_option_checked_later
def verify(
    stack: str | None,
    backends: tuple[str, ...],
    origin: str,
    profile: str,
    clauses: tuple[str, ...],
    seed: int,
    out: Path | None,
    junit_file: Path | None,
    summary_file: str | None,
    badge_file: Path | None,
    certificate_name: str | None,
    json_file: str | None,
) -> int:
    """Hold backends to their contracts and write a certificate.

    Without options: the Development stack (PostgreSQL, Redis, console logs) on embedded servers. A full verification
    first proves with a mutant for each clause that the clauses can fail.
    """
    if certificate_name is not None:
        from .check import check

        _refuse_beside_check()
        return check(certificate_name, json_file)
    from stackproof.reports.live import LiveView
    from stackproof.verification.provision import provided_servers
    from stackproof.verification.replay import with_scripts
    from stackproof.verification.run import VerifyOptions, exit_code, interrupted_before
    from stackproof.verification.run import verify as run_verification
    from stackproof.verification.runs import StorageError, new_run_id, open_run

    results = Results(junit_file, json_file, summary_file, badge_file)
    results.check()  # first of all: whatever is wrong below, no old badge outlives it
    targets = parse_targets(stack, backends)
    wanted = _known_clauses(clauses, targets)
    options = VerifyOptions(
        stack=stack or ("" if backends else "development"), profile=profile, seed=seed, origin=origin, clauses=wanted
    )
    run_id = new_run_id()
    directory = open_run(out, run_id)
    console = result_console("-" if "-" in results.names else None)
    certificate: Certificate | None = None
    with ExitStack() as holding:
        try:
            if profile == "full":
                options = replace(options, selftest=_proved(targets, options, directory, console))
            with provided_servers(targets, origin) as servers, LiveView(console) as view:
                holding.enter_context(held_interruptions())  # until everything that was found is written
                done = run_verification(targets, servers, options, directory, run_id, view)
                certificate, troubles = with_scripts(done, directory)
                # Kept before the servers end, so that somebody who is impatient does not lose it.
                not_kept = _keep_certificate(certificate, directory)
        except KeyboardInterrupt:
            if certificate is not None:
                raise
            certificate, troubles = interrupted_before(targets, options, run_id), []
            not_kept = _keep_certificate(certificate, directory)
        page, unwritten = _write_all(certificate, directory, results)
        _tell(certificate, console, directory, page, kept=not not_kept)
    if troubles := [*troubles, *not_kept, *unwritten]:
        raise StorageError("; ".join(troubles))  # last, so that the result is on the screen all the same
    return exit_code(certificate)


def _refuse_beside_check() -> None:
    """Nothing is verified then, so an option of a verification would be ignored, and look as if it were not."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and option.name not in ("certificate_name", "json_file"):
            raise ConfigurationError(
                f"--check and {option.opts[0]} exclude each other: with --check nothing is verified"
            )


def _keep_certificate(certificate: Certificate, directory: Path) -> tuple[str, ...]:
    """Where it cannot be kept in its run, a sentence that says where it is."""
    from stackproof.verification.certificate import to_json
    from stackproof.verification.runs import keep_run

    return keep_run(directory, {"certificate.json": partial(to_json, certificate)})


def _write_all(certificate: Certificate, directory: Path, results: Results) -> tuple[str | None, list[str]]:
    """Write the page and all results, each though another one cannot be written. `_keep_page`'s answer, and what went wrong.

    The answer is None where the page could not be written.
    """
    from stackproof.verification.runs import StorageError

    troubles: list[str] = []
    page: str | None = None
    try:
        page = _keep_page(certificate, directory)
    except StorageError as error:
        troubles.append(str(error))
    for write in results.writers(certificate):
        try:
            write()
        except StorageError as error:
            troubles.append(str(error))
    return page, troubles


def _tell(certificate: Certificate, console: Console, directory: Path, page: str | None, *, kept: bool) -> None:
    """``kept``: whether the certificate is in its directory; else no file of it is named here."""
    from stackproof.reports.terminal import print_certificate

    if nothing_to_say := _all_harness_trouble(certificate):
        for sentence in nothing_to_say:
            click.echo(f"stackproof: {sentence}", err=True)
        return
    print_certificate(certificate, console, directory if kept and page == "" else None)
    if kept and page != "":
        for line in filter(None, (str(directory / "certificate.json"), page)):
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _proved(targets: list[Target], options: VerifyOptions, directory: Path, console: Console) -> dict[str, Any]:
    """Run the short self-test of the concerns that are verified: a suite that cannot fail proves nothing."""
    from stackproof.reports.live import LiveView
    from stackproof.verification.run import silent
    from stackproof.verification.selftest import run_short_selftest, summary

    concerns = list(dict.fromkeys(target.concern for target in targets))
    # As in `stackproof selftest`: mutants that fail are good news, and outside a terminal get no line.
    with LiveView(console) if console.is_terminal else nullcontext(silent) as view:
        outcome = run_short_selftest(concerns, options.clauses, options.seed, directory / "selftest", view)
    told = summary(outcome)
    console.print(f"Self-test: {told['killed']} of {told['mutants']} mutants killed, one a clause.", markup=False)
    return told


def _keep_page(certificate: Certificate, directory: Path) -> str:
    """Write the page; where what it is made with is not installed, the sentence that says how to get it."""
    from stackproof.reports import certificate_page, pages
    from stackproof.verification.runs import keep

    try:
        pages.require()
    except ConfigurationError as error:
        return f"{error}; then: stackproof report {shlex.quote(str(directory))}"
    keep(directory / "certificate.html", certificate_page.render(certificate))
    return ""


def _all_harness_trouble(certificate: Certificate) -> list[str]:
    """What is wrong with the factories or test classes, where nothing else was found: no clause says anything then."""
    from stackproof.contracts.smoke import Trouble

    if any(target.trouble != Trouble.HARNESS for target in certificate.targets):
        return []
    sentences = [
        sentence if sentence.startswith(target.target) else f"{target.target}: {sentence}"
        for target in certificate.targets
        for sentence in [target.trouble_sentence]
    ]
    return list(dict.fromkeys(sentences))


def _known_clauses(wanted: tuple[str, ...], targets: list[Target]) -> tuple[str, ...]:
    """Refuse ids that no contract of these targets has: a typing error must not look like a clause that was not executed."""
    from stackproof.contracts import contract_for
    from stackproof.contracts.clauses import planned_clauses

    ids = tuple(dict.fromkeys(clause.strip().upper() for clause in wanted))
    known = {p.clause.id for concern in {t.concern for t in targets} for p in planned_clauses(contract_for(concern))}
    unknown = [clause for clause in ids if clause not in known]
    if unknown:
        *others, last = dict.fromkeys(t.concern for t in targets)
        nowhere = (
            f"none of the contracts of {', '.join(others)} and {last} has a clause {unknown[0]}"
            if others
            else f"the contract of {last} has no clause {unknown[0]}"
        )
        raise ConfigurationError(f"{nowhere}; `stackproof clauses` lists them all")
    return ids
