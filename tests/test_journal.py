"""The journal of calls: whose error it is."""

from __future__ import annotations

from stackproof.contracts.journal import Journal, Journalled


class Store:
    def fail(self) -> None:
        raise KeyError("x")


def test_an_error_whose_causes_go_in_a_circle_ends_the_search() -> None:
    own, cause = ValueError("own"), ValueError("cause")
    own.__cause__, cause.__context__ = cause, own
    assert not Journal().came_from_backend(own)


def test_an_error_of_the_backend_is_known_through_its_wrapping() -> None:
    journal = Journal()
    try:
        Journalled(Store(), journal, "store").fail()
    except KeyError as error:
        wrapped = RuntimeError("of the clause")
        wrapped.__cause__ = error
        assert journal.came_from_backend(wrapped)
    assert not journal.came_from_backend(KeyError("x"))
