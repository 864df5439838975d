"""Time limits inside time limits: the one that ends earlier counts, and the outer one goes on."""

from __future__ import annotations

import signal
import time

import pytest

from stackproof.contracts.timelimit import OutOfTime, time_limit

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="limits are signals")


def test_the_inner_limit_counts_where_it_ends_earlier() -> None:
    with pytest.raises(OutOfTime, match="inner"), time_limit(60, "outer"), time_limit(0.05, "inner"):
        time.sleep(30)


def test_the_outer_limit_counts_where_it_ends_earlier() -> None:
    with pytest.raises(OutOfTime, match="outer"), time_limit(0.05, "outer"), time_limit(60, "inner"):
        time.sleep(30)


def test_the_outer_limit_goes_on_after_the_inner_one() -> None:
    def inner_and_on() -> None:
        with time_limit(0.1, "inner"):
            pass
        time.sleep(30)

    with pytest.raises(OutOfTime, match="outer"), time_limit(0.2, "outer"):
        inner_and_on()


def test_nothing_rings_afterwards() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60, "outer"), time_limit(30, "inner"):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before
