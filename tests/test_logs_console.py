"""The console handler: its contract, its exact output, and what only a real process shows."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackproof.adapters.logs.console import ConsoleJsonHandler
from stackproof.adapters.logs.fields import CUT, SMALLEST_RECORD_BYTES, fields_of, line_of
from stackproof.adapters.settings import Settings
from stackproof.contracts.logs import LogContract
from stackproof.interfaces import ConfigurationError

ROOT = Path(__file__).parent.parent


class TestConsoleLogs(LogContract):
    def make_backend(self, namespace: str) -> logging.Handler:
        return ConsoleJsonHandler(stream=self.sink.stream, namespace=namespace)


class TestConsoleLogsWithSmallRecords(LogContract):
    def make_backend(self, namespace: str) -> logging.Handler:
        return ConsoleJsonHandler(stream=self.sink.stream, max_record_bytes=SMALLEST_RECORD_BYTES)


def record(**attributes: Any) -> logging.LogRecord:
    given_ = {"name": "shop.orders", "levelname": "WARNING", "levelno": 30, "created": 1_700_000_000.25}
    return logging.makeLogRecord(given_ | attributes)


class Stubborn:
    """A stream that fails as long as it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.text = ""
        self.calls = 0

    def write(self, text: str) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.text += text

    def flush(self) -> None: ...


def test_a_golden_line() -> None:
    out = io.StringIO()
    placed = record(
        msg="placed %s of %d", args=("offer", 3), customer="Zoë", amount=12.5, level="mine", tags=["a", None]
    )
    ConsoleJsonHandler(stream=out).handle(placed)
    assert out.getvalue() == (
        '{"time":"2023-11-14T22:13:20.250000Z","level":"WARNING","logger":"shop.orders","message":"placed offer of 3",'
        '"customer":"Zo\\u00eb","amount":12.5,"level_":"mine","tags":["a",null]}\n'
    )


def test_exception_and_stack_are_the_last_fields() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        failed = record(
            msg="failed", exc_info=sys.exc_info(), stack_info="Stack (most recent call last):\n  here", extra_=1
        )
    line = line_of(failed)
    fields = json.loads(line)
    assert list(fields) == ["time", "level", "logger", "message", "extra_", "exception", "stack"]
    assert fields["exception"].startswith("Traceback (most recent call last):")
    assert fields["exception"].endswith("ValueError: first\nsecond")
    assert "\n" not in line


def test_arguments_that_do_not_fit_stay_beside_the_message() -> None:
    fields = fields_of(record(msg="%d of %d", args=("many", 2)))
    assert (fields["message"], fields["arguments"]) == ("%d of %d", ["many", 2])


def test_names_that_meet_are_all_kept() -> None:
    odd = record(msg="x", time="noon", time_="later", data={1: "a", "1": "b", None: "c"})
    fields = fields_of(odd)
    assert (fields["time_"], fields["time__"]) == ("noon", "later")
    assert fields["data"] == {"1": "a", "1_": "b", "null": "c"}


def test_one_write_per_record() -> None:
    stream = Stubborn()
    handler = ConsoleJsonHandler(stream=stream)
    handler.handle(record(msg="one"))
    handler.handle(record(msg="two"))
    assert stream.calls == 2


@pytest.mark.parametrize("size", [10, 4_000, 100_000])
@pytest.mark.parametrize("character", ["x", "é", "\x00", "😀"])
def test_a_line_keeps_its_limit_and_cuts_visibly(character: str, size: int) -> None:
    text = character * size
    line = line_of(record(msg=text, also=[text, text], last="kept"), SMALLEST_RECORD_BYTES)
    fields = json.loads(line)
    assert len(line.encode()) <= SMALLEST_RECORD_BYTES
    assert (CUT in line) == (len(json.dumps(text)) * 3 > SMALLEST_RECORD_BYTES - 200)
    assert fields["message"].startswith(character * 5)


def test_nothing_is_cut_that_fits() -> None:
    limit = SMALLEST_RECORD_BYTES
    room = limit - len(line_of(record(msg="")))
    assert CUT not in line_of(record(msg="x" * room), limit)
    assert len(line_of(record(msg="x" * room), limit)) == limit
    assert CUT in line_of(record(msg="x" * (room + 1)), limit)


def test_both_ends_of_a_cut_text_are_kept() -> None:
    line = line_of(
        record(msg="x", exc_text="Traceback" + "." * 100_000 + "ValueError: the reason"), SMALLEST_RECORD_BYTES
    )
    shown = json.loads(line)["exception"]
    assert shown.startswith("Traceback")
    assert shown.endswith("ValueError: the reason")
    assert CUT in shown


def test_shared_containers_do_not_explode() -> None:
    graph: list[object] = ["leaf"]
    for _ in range(60):
        graph = [graph, graph]
    assert len(line_of(record(msg="x", graph=graph))) <= 256 * 1024


JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=20)
    | st.sampled_from([object(), "\ud800", b"\xff", Stubborn, ValueError("x")])
    | st.integers(4000, 6000).map(lambda digits: 10**digits),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none() | st.tuples(st.integers()), inner, max_size=5)
    ),
    max_leaves=40,
)


@settings(max_examples=300, deadline=None)
@given(value=JSON_LIKE, name=st.text(min_size=1), message=st.text(), arguments=st.tuples(JSON_LIKE) | st.none())
def test_any_nested_object_yields_one_parseable_line(
    value: object, name: str, message: str, arguments: tuple[object, ...] | None
) -> None:
    out = io.StringIO()
    handler = ConsoleJsonHandler(stream=out, max_record_bytes=SMALLEST_RECORD_BYTES)
    odd = record(msg=message, args=arguments)
    if name not in odd.__dict__:
        odd.__dict__[name] = (
            value  # as `logging` itself does with extras: a setattr of __dict__ would replace all of it
        )
    handler.handle(odd)
    assert handler.dropped == 0
    assert out.getvalue().isascii()
    assert out.getvalue().count("\n") == 1
    fields = json.loads(out.getvalue(), parse_constant=pytest.fail)
    assert fields["level"] == "WARNING"


def test_an_object_that_logs_itself_ends() -> None:
    out = io.StringIO()
    logger = logging.Logger("loop")
    logger.addHandler(ConsoleJsonHandler(stream=out))

    class Loop:
        def __repr__(self) -> str:
            logger.info("showing %s", self)
            return "loop"

    logger.info("start %s", Loop())
    lines = [json.loads(line)["message"] for line in out.getvalue().splitlines()]
    assert lines == ["showing %s", "showing loop", "showing loop", "start loop"]


def test_showing_an_object_may_wait_for_a_thread_that_logs() -> None:
    out = io.StringIO()
    logger = logging.Logger("locks")
    logger.addHandler(ConsoleJsonHandler(stream=out))
    shown = threading.Event()

    class Waiting:
        def __repr__(self) -> str:
            thread = threading.Thread(target=lambda: (logger.info("from the other thread"), shown.set()), daemon=True)
            thread.start()
            assert shown.wait(10), "the other thread is blocked by the record that is being shown"
            return "done"

    logger.info("%s", Waiting())
    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["from the other thread", "done"]


def test_failures_are_counted_and_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Stubborn()
    handler = ConsoleJsonHandler(stream=stream)
    for error in (OSError("disk full"), BrokenPipeError(), None, ValueError("closed"), None):
        stream.error = error
        handler.handle(record(msg=f"with {error!r}"))
    assert handler.dropped == 3
    assert stream.text.count("\n") == 2
    reports = capsys.readouterr().err.splitlines()
    assert len(reports) == 1
    assert "records are being dropped" in json.loads(reports[0])["message"]


def test_a_report_that_cannot_be_written_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = Stubborn()
    deaf.error = RuntimeError("an odd stream")
    monkeypatch.setattr(sys, "stderr", deaf)
    monkeypatch.setattr(sys, "__stderr__", deaf)
    stream = Stubborn()
    stream.error = OSError("disk full")
    handler = ConsoleJsonHandler(stream=stream)
    handler.handle(record(msg="lost"))
    assert (handler.dropped, deaf.calls) == (1, 2)


def test_the_report_is_off_where_logging_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stream = Stubborn()
    stream.error = OSError("disk full")
    handler = ConsoleJsonHandler(stream=stream)
    handler.handle(record(msg="lost"))
    assert handler.dropped == 1
    assert capsys.readouterr().err == ""


def test_a_stream_that_logs_about_itself_does_not_recurse() -> None:
    logger = logging.Logger("transport")

    class Chatty(Stubborn):
        def write(self, text: str) -> None:
            super().write(text)
            logger.info("I wrote something")

    stream = Chatty()
    handler = ConsoleJsonHandler(stream=stream)
    logger.addHandler(handler)
    logger.info("hello")
    assert (stream.calls, handler.dropped) == (1, 1)


def test_records_after_close_are_counted() -> None:
    stream = Stubborn()
    handler = ConsoleJsonHandler(stream=stream)
    handler.close()
    handler.close()
    handler.handle(record(msg="late"))
    assert (handler.dropped, stream.text) == (1, "")


def test_the_default_stream_is_looked_up_for_every_record(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = ConsoleJsonHandler()
    handler.handle(record(msg="to the capture"))
    elsewhere = io.StringIO()
    with redirect_stderr(elsewhere):
        handler.handle(record(msg="to the redirection"))
    monkeypatch.setattr(sys, "stderr", None)
    handler.handle(record(msg="to nowhere"))
    assert "to the capture" in capsys.readouterr().err
    assert "to the redirection" in elsewhere.getvalue()
    assert handler.dropped == 1


def test_settings_choose_level_and_stream(capsys: pytest.CaptureFixture[str]) -> None:
    handler = ConsoleJsonHandler.from_settings(Settings({"LOG_LEVEL": "error", "LOG_STREAM": "stdout"}))
    assert handler.level == logging.ERROR
    handler.handle(record(msg="here"))
    assert "here" in capsys.readouterr().out
    assert ConsoleJsonHandler.from_settings(Settings({"LOG_LEVEL": "15"})).level == 15
    assert ConsoleJsonHandler.from_settings(Settings()).level == logging.INFO


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ConsoleJsonHandler.from_settings(Settings({"LOG_LEVEL": "loud"})), "known are .*WARNING"),
        (lambda: ConsoleJsonHandler.from_settings(Settings({"LOG_STREAM": "file"})), "known are stderr, stdout"),
        (lambda: ConsoleJsonHandler(stream="stdin"), "not one of stderr, stdout"),
        (lambda: ConsoleJsonHandler(max_record_bytes=100), "less than 4096"),
    ],
)
def test_settings_that_cannot_work_say_so(make: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()


PIPE_PROGRAM = """
import logging, os, sys
from stackproof.adapters.logs.console import ConsoleJsonHandler
handler = ConsoleJsonHandler(stream="stdout")
logging.basicConfig(level=logging.INFO, handlers=[handler])
number = 0
while handler.dropped < 3 and number < 100_000:
    number += 1
    logging.info("line %d %s", number, "x" * 500)
print(f"still alive, dropped {handler.dropped}", file=sys.stderr)
# What the interpreter itself still holds for its standard output is the program's business, not the handler's:
# this is how the documentation of the signal module tells programs to end.
os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
"""


def test_a_closed_pipe_does_no_harm() -> None:
    """As in ``program | head -1``: the reader leaves, and the program goes on without a traceback."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", PIPE_PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        first = program.stdout.readline()
        program.stdout.close()
        said = program.stderr.read()
        program.wait(20)
    assert json.loads(first)["message"].startswith("line 1 ")
    assert "still alive, dropped 3" in said
    assert said.count("records are being dropped") == 1
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert program.returncode == 0
