"""The container: choice by variables, singletons, shutdown, reset."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_servers import postgres_url

import stackproof
from stackproof import Settings, build_infra
from stackproof.adapters.cache.local import LocalCache
from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.interactions.postgres import PostgresInteractionStore
from stackproof.interfaces import ClosedError, ConfigurationError, PeriodType, SummariesQuery

MEMORY = {
    "INTERACTION_STORE": "memory",
    "EVENT_PUBLISHER": "memory",
    "SEARCH_INDEX": "memory",
    "CACHE_STORE": "memory",
    "LOG_TRANSPORT": "memory",
}


@pytest.fixture(autouse=True)
def no_singleton() -> Iterator[None]:
    yield
    stackproof.shutdown_infra()
    from stackproof import container

    container._infra = None


@pytest.mark.parametrize(
    ("variable", "concern", "some_known"),
    [
        ("INTERACTION_STORE", "interactions", "postgresql"),
        ("EVENT_PUBLISHER", "events", "redis"),
        ("SEARCH_INDEX", "search", "pg"),
        ("CACHE_STORE", "cache", "local"),
        ("LOG_TRANSPORT", "logs", "console"),
    ],
)
def test_an_unknown_value_lists_the_known_ones(variable: str, concern: str, some_known: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_infra(Settings({**MEMORY, variable: "nonsense"}))
    sentence = str(caught.value)
    assert sentence.startswith(f"{variable}='nonsense' is not a known backend of {concern}")
    assert some_known in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("value", ["pg", "postgres", "PostgreSQL", " pg "])
def test_the_aliases_of_postgres(value: str) -> None:
    infra = build_infra(Settings({**MEMORY, "INTERACTION_STORE": value}))
    assert infra.chosen["interactions"].name == "postgres"


def test_a_missing_variable_says_what_to_type() -> None:
    infra = build_infra(Settings({"CACHE_STORE": "memory"}))
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL is not set.*export DATABASE_URL="):
        _ = infra.interactions
    with pytest.raises(ConfigurationError, match=r"REDIS_URL is not set.*export REDIS_URL="):
        _ = infra.events


@pytest.mark.parametrize(
    ("driver", "concern", "extra"),
    [
        ("psycopg", "interactions", "postgres"),
        ("psycopg", "search", "postgres"),
        ("redis", "events", "redis"),
        ("redis", "cache", "redis"),
    ],
)
def test_a_missing_driver_says_what_to_install(driver: str, concern: str, extra: str) -> None:
    code = f"import sys; sys.modules[{driver!r}] = None; import stackproof; stackproof.get_infra().{concern}"
    servers = {"DATABASE_URL": "postgresql://x/y", "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **servers},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"type: pip install 'stackproof[{extra}]'" in done.stderr


def test_without_redis_the_cache_is_local_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    infra = build_infra(Settings({}))
    with caplog.at_level(logging.WARNING, "stackproof"):
        assert isinstance(infra.cache, LocalCache)
        assert infra.cache is infra.cache
    assert len([r for r in caplog.records if "REDIS_URL" in r.getMessage()]) == 1


def test_in_production_the_cache_needs_redis() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL is not set"):
        build_infra(Settings({"STACKPROOF_ENV": "production"}))


def test_one_instance_for_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def slow(cls: type[MemoryCache], settings: Settings, namespace: str = "") -> MemoryCache:
        time.sleep(0.05)
        made.append(1)
        return MemoryCache()

    monkeypatch.setattr(MemoryCache, "from_settings", classmethod(slow), raising=False)
    infra = build_infra(Settings(MEMORY))
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(infra.cache)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert all(cache is seen[0] for cache in seen)


class _Noted:
    """An adapter that notes when it is closed."""

    def __init__(self, order: list[str], name: str, trouble: str = "") -> None:
        self.order, self.name, self.trouble = order, name, trouble

    def disconnect(self) -> None:
        self.order.append(self.name)
        if self.trouble == "raises":
            raise OSError("the line is cut")
        if self.trouble == "hangs":
            threading.Event().wait(30)


def _filled(order: list[str], **troubles: str) -> Any:
    infra = build_infra(Settings(MEMORY))
    for name in ("interactions", "events", "cache"):
        infra._made[name] = _Noted(order, name, troubles.get(name, ""))
    return infra


def test_closed_in_reverse_order_and_once() -> None:
    order: list[str] = []
    infra = _filled(order)
    report = infra.shutdown()
    assert order == ["cache", "events", "interactions"]
    assert report.closed == ("cache", "events", "interactions")
    assert infra.shutdown().closed == ()
    with pytest.raises(ClosedError, match="reset_infra"):
        _ = infra.cache


def test_one_failing_close_does_not_keep_the_others_open(caplog: pytest.LogCaptureFixture) -> None:
    order: list[str] = []
    report = _filled(order, events="raises").shutdown()
    assert order == ["cache", "events", "interactions"]
    assert report.closed == ("cache", "interactions")
    assert report.failed == {"events": "OSError: the line is cut"}
    assert "closing events failed" in caplog.text


def test_a_hanging_close_is_bounded() -> None:
    order: list[str] = []
    began = time.monotonic()
    report = _filled(order, cache="hangs").shutdown(timeout=0.5)
    assert time.monotonic() - began < 3
    assert order == ["cache", "events", "interactions"]
    assert "did not end within" in report.failed["cache"]


def test_reset_moves_to_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MEMORY.items():
        monkeypatch.setenv(name, value)
    first = stackproof.get_infra()
    cache = first.cache
    assert stackproof.get_infra() is first
    monkeypatch.setenv("CACHE_STORE", "local")
    second = stackproof.reset_infra()
    assert isinstance(second.cache, LocalCache)
    assert stackproof.get_infra() is second
    with pytest.raises(ClosedError):
        cache.get("k")


def test_reset_with_wrong_settings_leaves_the_running_one_alone() -> None:
    first = stackproof.reset_infra(Settings(MEMORY))
    with pytest.raises(ConfigurationError):
        stackproof.reset_infra(Settings({**MEMORY, "CACHE_STORE": "nonsense"}))
    assert stackproof.get_infra() is first
    first.cache.set("k", 1)


def test_secrets_do_not_show_in_settings() -> None:
    assert "hunter2" not in repr(Settings({"DATABASE_URL": "postgresql://u:hunter2@h/d"}))


def test_get_infra_from_a_shell() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import stackproof; stackproof.get_infra()"],
        env={**os.environ, "INTERACTION_STORE": "nonsense"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert (
        "ConfigurationError: INTERACTION_STORE='nonsense' is not a known backend of interactions; known are: postgres"
        in done.stderr
    )


def test_sigterm_closes_and_ends_as_it_would_have(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        textwrap.dedent(
            """
            import time, stackproof
            infra = stackproof.get_infra()
            cache, close = infra.cache, infra.cache.disconnect
            cache.disconnect = lambda: (close(), print("closed", flush=True))
            stackproof.shutdown_on_sigterm()
            print("ready", flush=True)
            time.sleep(60)
            """
        )
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, **MEMORY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM, errors
    assert rest == "closed\n"


def test_sigterm_with_work_in_flight_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    """Four threads record, on a server, while the signal comes: what `record_event` returned for is there afterwards."""
    url = postgres_url()
    script = tmp_path / "app.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, threading, datetime, stackproof
            from stackproof.interfaces import BackendError, Interaction, InteractionType

            store = stackproof.get_infra().interactions
            tenant = sys.argv[1]

            def work(number):
                for count in range(100_000):
                    event_id = f"{number}-{count}"
                    try:
                        store.record_event(Interaction(
                            event_id=event_id, tenant=tenant, customer="c", offer="7",
                            interaction_type=InteractionType.CLICK, timestamp=datetime.datetime.now(datetime.timezone.utc),
                        ))
                    except BackendError:
                        return
                    os.write(1, (event_id + "\\n").encode())  # it was accepted

            threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
            stackproof.shutdown_on_sigterm()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            """
        )
    )
    tenant = f"sigterm-{uuid.uuid4().hex}"
    # Into a file: of a pipe, `communicate` would miss what reading by line had already fetched ahead.
    answers = tmp_path / "accepted"
    with (
        answers.open("wb") as out,
        subprocess.Popen(
            [sys.executable, str(script), tenant],
            env={**os.environ, **MEMORY, "INTERACTION_STORE": "postgres", "DATABASE_URL": url},
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            until = time.monotonic() + 60
            while answers.read_bytes().count(b"\n") < 50 and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGTERM, errors
    assert "Traceback" not in errors
    accepted = answers.read_text().splitlines()
    assert len(accepted) >= 50
    with PostgresInteractionStore(url=url) as store:
        (total,) = store.get_summaries(SummariesQuery(tenant=tenant, customer="c", period_type=PeriodType.ALLTIME)).rows
    # One more for each thread can have been stored without its answer having been written down.
    assert len(accepted) <= total.positive <= len(accepted) + 4
