"""The certificate as JUnit XML: a test suite per backend, a test case per clause. For Jenkins, GitLab and GitHub readers.

JUnit knows fewer ends than a clause has. What counts is mapped so that *unknown* is never green: FAIL is a failure,
INCONCLUSIVE an error, everything else that is no unaltered PASS is skipped with a message that says why. The verdict
itself is among the properties of the test case, with the evidence: the junit plug-in of Jenkins shows these, other
readers pass over them. (A reader that validates against the schema of Jenkins' older xUnit plug-in, where only suites
have properties, is better served by the JSON.)
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from datetime import datetime

from stackproof.contracts.explain import explain
from stackproof.contracts.verdicts import Verdict
from stackproof.verification.certificate import Certificate, ClauseRecord, Level, TargetRecord

from .text import one_line, visible
from .words import groups, meaning, sightings

_SKIPPED = {
    Verdict.NOT_SUPPORTED: "not supported",
    Verdict.SKIPPED: "not executed",
    Verdict.PROVISIONAL: "provisional, not counted",
}


def render(certificate: Certificate) -> str:
    """The XML text. A certificate without any clause has one test case, and that is an error."""
    root = ET.Element("testsuites", name="stackproof", time=f"{certificate.seconds:.3f}")
    targets = {target.target: target for target in certificate.targets}
    for (concern, target), records in groups(certificate).items():
        suite = ET.SubElement(root, "testsuite", name=one_line(target), timestamp=_timestamp(certificate.created))
        suite.set("time", f"{sum(record.result.seconds for record in records):.3f}")
        _properties(suite, _facts(certificate, concern, targets.get(target)))
        for record in records:
            suite.append(_case(record, certificate.seed))
        if not records:
            suite.append(_nothing(target, "no clause was planned for this backend"))
    if not len(root):
        _suite_of_ours(root, certificate).append(_nothing("stackproof", "nothing was collected"))
    if (unsaid := _unsaid(certificate)) is not None:
        _suite_of_ours(root, certificate).append(unsaid)
    for suite in root:
        _count(suite, suite.iter("testcase"))
    _count(root, root.iter("testcase"))
    del root.attrib["skipped"]  # no schema has it here
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite_of_ours(root: ET.Element, certificate: Certificate) -> ET.Element:
    """A suite for what is said of the verification as a whole."""
    return ET.SubElement(root, "testsuite", name="stackproof", timestamp=_timestamp(certificate.created), time="0.000")


def _case(record: ClauseRecord, seed: int) -> ET.Element:
    result = record.result
    case = ET.Element("testcase", classname=_class_name(result.target), name=_name(record))
    case.set("time", f"{result.seconds:.3f}")
    evidence = "; ".join(str(sighting) for sighting in sightings(record))
    facts = [("clause", result.clause), ("verdict", str(result.verdict)), ("evidence", evidence)]
    facts += [("fidelity", record.fidelity), ("seed", str(seed))]
    facts += [("altered", result.altered)] if result.altered else []
    _properties(case, facts)
    if end := _end(record):
        element, message = end
        explained = ET.SubElement(case, element, message=one_line(message), type=str(result.verdict))
        explained.text = visible(explain(result, record.planned))
    return case


def _end(record: ClauseRecord) -> tuple[str, str] | None:
    """The element that tells how the case ended, and its message; None for a pass that counts."""
    result = record.result
    if result.verdict is Verdict.FAIL:
        return "failure", result.failure.headline if result.failure else result.reason
    if result.verdict is Verdict.INCONCLUSIVE:
        return "error", result.reason
    if result.verdict is not Verdict.PASS:
        return "skipped", f"{_SKIPPED[result.verdict]}: {result.reason}"
    return ("skipped", f"altered, not counted: {result.altered}") if result.altered else None


def _facts(certificate: Certificate, concern: str, target: TargetRecord | None) -> list[tuple[str, str]]:
    facts = [("certificate", certificate.id), ("level", str(certificate.level)), ("concern", concern)]
    facts += [("seed", str(certificate.seed)), ("interrupted", str(certificate.interrupted).lower())]
    if target is not None:
        facts += [("backend", target.backend), ("server", target.server), ("fidelity", target.fidelity)]
        facts += [("trouble", f"{target.trouble}: {target.trouble_sentence}")] if target.trouble != "none" else []
    return facts


def _nothing(name: str, message: str) -> ET.Element:
    case = ET.Element("testcase", classname=_class_name(name), name="verification", time="0.000")
    ET.SubElement(case, "error", message=message, type=str(Verdict.INCONCLUSIVE)).text = message
    return case


def _unsaid(certificate: Certificate) -> ET.Element | None:
    """Why the certificate is no HOLDS, where no row says it: a reader of JUnit adds up rows, and knows no level."""
    results = [record.result for record in certificate.clauses]
    element = "error"
    match certificate.level:
        case Level.HOLDS:
            return None
        case Level.PARTIAL:
            said = any(result.verdict is Verdict.SKIPPED or result.altered for result in results)
            element = "skipped"
        case _:
            said = any(result.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE) for result in results)
    if said or not results:
        return None
    case = ET.Element("testcase", classname=_class_name("stackproof"), name="verification", time="0.000")
    why = one_line(meaning(certificate))
    ET.SubElement(case, element, message=why, type=str(certificate.level)).text = why
    return case


def _properties(parent: ET.Element, facts: Iterable[tuple[str, str]]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in facts:
        ET.SubElement(properties, "property", name=name, value=one_line(value))


def _count(parent: ET.Element, cases: Iterable[ET.Element]) -> None:
    found = list(cases)
    parent.set("tests", str(len(found)))
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        parent.set(attribute, str(sum(case.find(element) is not None for case in found)))


def _name(record: ClauseRecord) -> str:
    return one_line(f"{record.result.clause} {record.planned.rule}")


def _class_name(target: str) -> str:
    """Readers take what stands before the last full stop for a package: a target must not fall apart there."""
    return "stackproof." + one_line(target).replace(".", "_")


def _timestamp(created: str) -> str:
    """To the second and without an offset, as the schema of Jenkins demands; as it is where it is not ISO 8601."""
    try:
        return datetime.fromisoformat(created).replace(tzinfo=None).isoformat(timespec="seconds")
    except ValueError:
        return one_line(created)
