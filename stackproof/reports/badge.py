"""The badge of a complete certificate: an SVG of our own, without any request. Pure.

It is for a certificate that HOLDS, and for no other one: a badge is seen without its explanation, so there is none that says
"partial" in another colour. What is known on an emulator only, or on an engine that stands in, says so on the badge itself.
"""

from __future__ import annotations

from html import escape

from stackproof.verification.certificate import Certificate, Level

from .text import one_line
from .words import counted, meaning

MARK = "<!-- a badge of stackproof -->"
"""How a file is known to be a badge that may be replaced."""

_WORSE = ("emulator", "compatible-engine")
_GREEN, _GREY = "#1a7f37", "#3d444d"
_WIDTH = 7
"""Pixels that a character takes at most, of the text's size; the text is fitted to what is reserved for it."""


def refusal(certificate: Certificate) -> str:
    """Why there is no badge for this certificate, in a sentence; empty where there is one."""
    if certificate.level is Level.HOLDS:
        return ""
    return f"there is no badge for what is {certificate.level}: {meaning(certificate)}"


def render(certificate: Certificate) -> str:
    """The SVG text. ValueError for a certificate that is not complete."""
    if why := refusal(certificate):
        raise ValueError(why)
    left, right = _label(certificate), _message(certificate)
    name = f"{left}: {right}"
    first, second = (len(text) * _WIDTH + 12 for text in (left, right))
    texts = "".join(
        f'<text x="{x}" y="14" textLength="{len(text) * _WIDTH - 6}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
        for x, text in ((9, left), (first + 9, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="20" role="img" '
        f'aria-label="{escape(name)}">{MARK}\n'
        f"<title>{escape(name)}</title>\n<desc>{escape(_description(certificate))}</desc>\n"
        f'<rect width="{first}" height="20" fill="{_GREY}"/>'
        f'<rect x="{first}" width="{second}" height="20" fill="{_GREEN}"/>\n'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g>\n</svg>\n'
    )


def is_badge(text: str) -> bool:
    """Whether a file is one that `render` made."""
    return text.startswith("<svg") and MARK in text[:2_000]


def _label(certificate: Certificate) -> str:
    concerns = list(dict.fromkeys(target.concern for target in certificate.targets))
    return f"{one_line(concerns[0])} contract" if len(concerns) == 1 else counted(len(concerns), "contract")


def _message(certificate: Certificate) -> str:
    """Never more than is known: the least faithful server decides what it was shown on."""
    fidelities = {target.fidelity for target in certificate.targets}
    worse = next((fidelity for fidelity in _WORSE if fidelity in fidelities), "")
    return "holds" + (f" on {'an' if worse[0] in 'aeiou' else 'a'} {worse.replace('-', ' ')}" if worse else "")


def _description(certificate: Certificate) -> str:
    names = ", ".join(target.target for target in certificate.targets)
    return one_line(
        f"{names}: {len(certificate.clauses)} clauses of stackproof {certificate.version}, profile {certificate.profile}, "
        f"verified {certificate.created}, certificate {certificate.id}"
    )
