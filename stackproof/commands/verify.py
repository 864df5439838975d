"""`stackproof verify`: hold backends to their contracts and write a certificate."""

from __future__ import annotations

from pathlib import Path

import click

from stackproof.interfaces import ConfigurationError
from stackproof.targets import Target, parse_targets

from .options import backend_option, json_option, origin_option, out_option, seed_option, stack_option, write_json


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
@json_option
def verify(
    stack: str | None,
    backends: tuple[str, ...],
    origin: str,
    profile: str,
    clauses: tuple[str, ...],
    seed: int,
    out: Path | None,
    junit_file: Path | None,
    json_file: str | None,
) -> int:
    """Hold backends to their contracts and write a certificate.

    Without options: the Development stack (PostgreSQL, Redis, console logs) on embedded servers.
    """
    from rich.console import Console

    from stackproof.reports import certificate_page, junit, pages
    from stackproof.reports.live import LiveView
    from stackproof.reports.terminal import print_certificate
    from stackproof.verification.certificate import to_json
    from stackproof.verification.provision import provided_servers
    from stackproof.verification.run import VerifyOptions, exit_code
    from stackproof.verification.run import verify as run_verification
    from stackproof.verification.runs import keep, new_run_id, open_run

    targets = parse_targets(stack, backends)
    wanted = _known_clauses(clauses, targets)
    options = VerifyOptions(
        stack=stack or ("" if backends else "development"), profile=profile, seed=seed, origin=origin, clauses=wanted
    )
    pages.require()
    run_id = new_run_id()
    directory = open_run(out, run_id)
    console = Console(stderr=json_file == "-")
    with provided_servers(targets, origin) as servers, LiveView(console) as view:
        certificate = run_verification(targets, servers, options, directory, run_id, view)
    keep(directory / "certificate.json", to_json(certificate))
    keep(directory / "certificate.html", certificate_page.render(certificate))
    if junit_file is not None:
        keep(junit_file, junit.render(certificate))
    if json_file is not None:
        write_json(json_file, to_json(certificate))
    print_certificate(certificate, console, directory)
    return exit_code(certificate)


def _known_clauses(wanted: tuple[str, ...], targets: list[Target]) -> tuple[str, ...]:
    """Refuse ids that no contract of these targets has: a typing error must not look like a clause that was not executed."""
    from stackproof.contracts import contract_for
    from stackproof.contracts.clauses import planned_clauses

    ids = tuple(dict.fromkeys(clause.strip().upper() for clause in wanted))
    known = {p.clause.id for concern in {t.concern for t in targets} for p in planned_clauses(contract_for(concern))}
    unknown = [clause for clause in ids if clause not in known]
    if unknown:
        raise ConfigurationError(f"there is no clause {unknown[0]} here; `stackproof clauses` lists them all")
    return ids
