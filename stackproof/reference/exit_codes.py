"""The exit codes, with their docstrings."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise

from stackproof.exits import Exit
from stackproof.reports.markdown_text import table, wrapped

_HEAD = (
    "Every command ends with one of these, so that a script or a CI can tell what happened without reading a "
    "line of output. They are values of `stackproof.exits.Exit`. An error that can be expected is one sentence"
    " on standard error; a traceback is a defect of ours."
)
_USE = (
    "A CI should fail on anything but 0. 1 is a finding about the backend; 2, 4, 5, 6 and 7 are about the call"
    " or its surroundings; 3 means that nothing was decided, which is no success. What 0, 1 and 3 mean for "
    "`bench` and `compare` is on [Measuring](../measuring.md#exit-codes)."
)


def body() -> str:
    """The whole page."""
    meanings = _docstrings()
    rows = [(f"{code.value}", f"`{code.name}`", meanings[code.name]) for code in Exit]
    return "\n\n".join([wrapped(_HEAD), table(("code", "name", "meaning"), rows), wrapped(_USE)])


def _docstrings() -> dict[str, str]:
    """The text below each member, which only the source has."""
    (body_of,) = ast.parse(textwrap.dedent(inspect.getsource(Exit))).body
    assert isinstance(body_of, ast.ClassDef)
    return {
        ast.unparse(member.targets[0]): " ".join(ast.literal_eval(text.value).split())
        for member, text in pairwise(body_of.body)
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr)
    }
