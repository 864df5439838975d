"""Which part of a session a developer asked for on the command line. What is left out for that reason is no hole.

What a configuration file, a variable or a hook leaves out is one: nobody who reads the result knows of it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Self

import pytest


@dataclass(frozen=True, slots=True)
class Selection:
    """What was typed, of all that narrows a session."""

    narrowed: bool = False
    """By ``-k``, ``-m``, ``--lf`` or ``--sw``."""
    nodes: tuple[str, ...] = ()
    """Node ids, without their files."""
    left_out: tuple[str, ...] = ()
    """What ``--deselect`` names."""
    left_out_elsewhere: tuple[str, ...] = ()
    """The same, where it was not typed."""
    clauses: bool = False
    """By ``--stackproof-clause``."""

    @classmethod
    def of(cls, config: pytest.Config) -> Self:
        words = [str(word) for word in config.invocation_params.args]
        typed, _ = _parser().parse_known_args(words)
        return cls(
            narrowed=any(typed.narrowed),
            nodes=tuple(word.partition("::")[2] for word in config.args if "::" in word and word in words),
            left_out=tuple(typed.deselect),
            left_out_elsewhere=tuple(set(config.getoption("deselect", None) or ()) - set(typed.deselect)),
            clauses=bool(typed.clauses),
        )

    def spares(self, nodeid: str) -> bool:
        """Whether it was typed that this test, which was deselected, is not to run."""
        if nodeid.startswith(self.left_out_elsewhere):
            return False
        return self.narrowed or nodeid.startswith(self.left_out)

    def is_of_a_part(self, class_id: str) -> bool:
        """Whether node ids were typed, and none of them asks for the whole of this class."""
        inner = _inner(class_id)
        return bool(self.nodes) and not any(inner == node or inner.startswith(f"{node}::") for node in self.nodes)

    def is_of_others(self, class_id: str) -> bool:
        """Whether node ids were typed, and none of them has to do with this class."""
        begin = f"{_inner(class_id)}::"
        return self.is_of_a_part(class_id) and not any(node.startswith(begin) for node in self.nodes)

    def may_be_of_nothing(self, class_id: str) -> bool:
        """Whether it is no surprise that not one clause of this class was executed."""
        return self.narrowed or self.clauses or self.is_of_others(class_id)


def _inner(nodeid: str) -> str:
    return nodeid.partition("::")[2]


def _parser() -> argparse.ArgumentParser:
    """Knows the options that matter, and the short ones that are written together with them: ``-xk fetch``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("-k", "-m"):
        parser.add_argument(name, dest="narrowed", action="append", default=[])
    for names in (("--lf", "--last-failed"), ("--sw", "--stepwise"), ("--sw-skip", "--stepwise-skip")):
        parser.add_argument(*names, dest="narrowed", action="append_const", const=names[0])
    for flag in "xvqsl":
        parser.add_argument(f"-{flag}", action="store_true")
    parser.add_argument("--deselect", action="append", default=[])
    parser.add_argument("--stackproof-clause", action="append", default=[], dest="clauses")
    return parser
