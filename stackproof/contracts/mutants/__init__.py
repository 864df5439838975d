"""Mutants: the reference with one seeded defect each, taken from bugs that real adapters had.

A mutant is declared with the clause that must kill it. `registry.all_mutants` finds them all.
"""

from .registry import Mutant, all_mutants, mutant

__all__ = ["Mutant", "all_mutants", "mutant"]
