"""What checks say against backends: one wording for a run, for a window of a search and for the whole of it."""

from __future__ import annotations

from stackproof.measurement.check_words import KINDS, UNTRUE, against, not_known


def test_what_was_seen_and_how_often() -> None:
    assert against("lost", 1_200) == "1,200 things that were acknowledged are gone"
    assert against("unhandled", 3, of=500).startswith("3 of 500 operations were accepted and not handled")
    assert against(UNTRUE, 2, where=" in step 4") == "2 answers were wrong or came twice in step 4"
    assert KINDS == ("wrong", "lost", "duplicated", "unhandled")
    assert not_known("it is away") == "it is not known whether anything is lost: it is away"
