"""A mistake in somebody's own scenario is told with its file and line; what is ours, or a driver's, with none."""

from __future__ import annotations

import json
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from bench_samples import MEMORY

import stackproof
from stackproof.scenarios.orders import Setup
from stackproof.scenarios.session import Session, UnusableError
from stackproof.scenarios.whose import place_of

OWN = """
from stackproof.scenarios.distributions import Sizes, Zipf
from stackproof.scenarios.scenario import Scenario
from stackproof.scenarios.steps import Step


class Touch(Step):
    name = "touch"
    concern = "cache"

    def bind(self, bench):
        {bind}

        def act(item, _turn):
            {act}

        return act


SESSIONS = Scenario("sessions", [Touch()], Zipf(10), Sizes.p50_p99(300, 1_500), seed=3, unit="session")
"""


@pytest.mark.parametrize(
    ("name", "bind", "act", "words"),
    [
        ("own_that_acts_badly", "pass", "raise KeyError('boom')", "touch: KeyError: 'boom'"),
        ("own_that_cannot_bind", "raise ValueError('cannot bind')", "pass", "ValueError: cannot bind"),
        ("own_that_meets_json", "pass", "__import__('json').loads('{')", "touch: JSONDecodeError"),
    ],
)
def test_a_mistake_in_a_scenario_of_ones_own_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, bind: str, act: str, words: str
) -> None:
    text = OWN.format(bind=bind, act=act)
    module = tmp_path / f"{name}.py"
    module.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    [line] = [
        number
        for number, row in enumerate(text.splitlines(), 1)
        if row.strip() in {bind, act} and row.strip() != "pass"
    ]
    setup = Setup(f"{name}:SESSIONS", MEMORY, "bench-test", seed=1)
    with (
        Session(setup, {}, tmp_path, lambda _state: None) as session,
        pytest.raises(UnusableError) as raised,
    ):
        session.connect()
    assert words in str(raised.value)
    assert str(raised.value).endswith(f" ({module}, line {line})")


def code(path: Path, text: str) -> CodeType:
    return compile(text, str(path), "exec")


def raised_through(*paths: Path) -> BaseException:
    """An error that went through a function of each of these files, the last one of which raised it."""
    called: Any = None
    for path in reversed(paths):
        there: dict[str, Any] = {"called": called}
        exec(code(path, "def step():\n    if called is None:\n        raise KeyError('boom')\n    called()\n"), there)
        called = there["step"]
    assert called is not None
    with pytest.raises(KeyError) as raised:
        called()
    # The frame of this file is that of somebody, too.
    return raised.value.with_traceback(raised.tb.tb_next)


PACKAGE = Path(stackproof.__file__).parent
OURS, ADAPTER = PACKAGE / "scenarios/work.py", PACKAGE / "adapters/cache/redis.py"
DRIVER = Path("/env/lib/python3/site-packages/redis/connection.py")
ACME = Path("/env/lib/python3/site-packages/acme/scenarios.py")
GEVENT = Path("/env/lib/python3/site-packages/gevent/threadpool.py")
MINE, STANDARD = Path("/home/me/mine.py"), Path(json.__file__)


@pytest.mark.parametrize(
    ("paths", "place"),
    [
        ((OURS,), ""),
        ((OURS, ADAPTER, DRIVER), ""),
        ((OURS, STANDARD), ""),
        ((GEVENT, OURS, MINE), f"{MINE}, line 3"),
        ((OURS, MINE, STANDARD), f"{MINE}, line 4"),
        ((OURS, MINE, ADAPTER, DRIVER), f"{MINE}, line 4"),
        ((OURS, MINE, DRIVER), f"{MINE}, line 4"),
        ((GEVENT, OURS, ACME, DRIVER), f"{ACME}, line 4"),
    ],
)
def test_the_last_frame_of_ones_own_code_is_named(paths: tuple[Path, ...], place: str) -> None:
    assert place_of(raised_through(*paths)) == place


def test_an_error_that_we_made_of_somebodys_error_is_placed_where_that_was_raised() -> None:
    outer = RuntimeError("it cannot be made")
    outer.__cause__ = raised_through(OURS, MINE)
    assert place_of(outer) == f"{MINE}, line 3"
