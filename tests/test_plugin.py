"""The pytest plug-in: verdicts, evidence, the ledger, and what a third party can and cannot hide."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from plugin_samples import run


def test_a_good_backend(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class TestGood(OneContract):
            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert result.ret == 0
    assert {k: v["verdict"] for k, v in rows.items()} == {"T-01": "PASS", "T-03": "PASS"}
    assert rows["T-01"]["evidence"] == {"reads": 1}


def test_a_broken_backend_is_explained(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class Broken(MemoryCache):
            def get(self, key):
                found = super().get(key)
                return found if key == "smoke" else MISSING

        class TestBroken(OneContract):
            def make_backend(self, namespace):
                return Broken(namespace=namespace)
        """,
    )
    assert result.ret == 1
    assert rows["T-01"]["verdict"] == "FAIL"
    result.stdout.fnmatch_lines(
        [
            "*T-01  What is set is got.*",
            "*what was done*",
            "*cache.set('k', 'v', ttl=0.4)*",
            "*cache.get('k') -> MISSING*",
            "*expected: 'v'*",
            "*seen:     MISSING*",
            "*why it matters: otherwise why set it (learnt from C1)*",
            "*again: pytest *::TestBroken::test_set_get --stackproof-seed 1*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_an_undeclared_capability_is_proven_absent(pytester: pytest.Pytester) -> None:
    body = """
        class Private(MemoryCache):
            def drop_namespace(self):
                pass

        class TestAlone(OneContract):
            capabilities = CacheCapabilities(shared=False)

            def make_backend(self, namespace):
                return Private({namespace})
        """
    result, rows = run(pytester, body.format(namespace=""))
    assert result.ret == 0
    assert rows["T-03"]["verdict"] == "NOT_SUPPORTED"
    assert rows["T-03"]["evidence"] == {"absence probes": 1}
    result, rows = run(pytester, body.format(namespace="namespace=namespace"))
    assert result.ret == 1
    assert rows["T-03"]["verdict"] == "FAIL"
    assert "shared is not declared, and was not shown to be absent" in rows["T-03"]["failure"]["headline"]


def test_too_little_evidence_is_no_pass(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class TestGood(DemandingContract):
            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert result.ret == 1
    assert rows["T-02"]["verdict"] == "INCONCLUSIVE"
    assert "miracles: 1 of 2" in rows["T-02"]["reason"]


@pytest.mark.parametrize(
    ("change", "args", "clause", "verdict", "altered"),
    [
        ("def test_set_get(self): pass", (), "T-01", "INCONCLUSIVE", "overridden"),
        ("test_set_get = None", (), "T-01", "SKIPPED", "removed"),
        ("", ("-k", "shared"), "T-01", "SKIPPED", "deselected"),
        ("", ("--deselect", "test_x.py::TestGood::test_set_get"), "T-01", "SKIPPED", "deselected"),
        ("pytestmark = pytest.mark.skip(reason='no time')", (), "T-01", "SKIPPED", "marked skip"),
        ("pytestmark = pytest.mark.xfail(reason='known')", (), "T-01", "PASS", "marked xfail"),
    ],
)
def test_a_clause_that_is_taken_away_stays_visible(
    pytester: pytest.Pytester, change: str, args: tuple[str, ...], clause: str, verdict: str, altered: str
) -> None:
    body = f"""
        class TestGood(OneContract):
            {change or "pass"}

            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """
    args = tuple(a.replace("test_x.py", "test_a_clause_that_is_taken_away_stays_visible.py") for a in args)
    result, rows = run(pytester, body, *args)
    assert set(rows) == {"T-01", "T-03"}
    assert rows[clause]["verdict"] == verdict
    if altered == "deselected":  # by the user, on the command line: no failure, but said
        assert "deselected" in rows[clause]["reason"]
        assert "Only a part of the contract was executed" in result.stdout.str()
        assert result.ret == 0
    else:
        assert altered in rows[clause]["altered"]
        assert result.ret == 1


@pytest.mark.parametrize(
    ("inside", "after", "altered"),
    [
        (
            "@pytest.fixture\ndef evidence(self, case):\n    case.evidence.saw('reads', 9)\n    return case.evidence",
            "",
            "evidence was replaced in TestGood",
        ),
        (
            "@clause('T-01', 'Mine.', because='x', sees=('reads', 1))\n"
            "def test_mine(self, evidence):\n    evidence.saw('reads')",
            "",
            "T-01 was declared again by TestGood.test_mine",
        ),
        (
            "",
            "SmallContract.test_set_get = lambda self, evidence: evidence.saw('reads')",
            "test_set_get was overridden",
        ),
        ("", "del SmallContract.test_set_get", "test_set_get was removed"),
        ("", "Evidence.missing = lambda self, required: []", "Evidence.missing was patched"),
    ],
    ids=["fixture", "declared again", "patched", "deleted", "instrument"],
)
def test_what_makes_a_clause_measure_nothing_shows_as_altered(
    pytester: pytest.Pytester, inside: str, after: str, altered: str
) -> None:
    lines = [
        "import pytest",
        "from stackproof.contracts.evidence import Evidence",
        "class TestGood(OneContract):",
        "    def make_backend(self, namespace):",
        "        return MemoryCache(namespace=namespace)",
        *(f"    {line}" for line in inside.splitlines()),
        after,
    ]
    result, rows = run(pytester, "\n".join(lines))
    assert result.ret == 1
    assert set(rows) == {"T-01", "T-03"}
    assert altered in rows["T-01"]["altered"]


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("raise OSError('no such file')", "make_backend raised OSError: no such file"),
        ("return None", "returned None instead of a backend"),
        ("return {}", "dict is not a CacheStore: it has no"),
        ("return SHARED", "same object for two namespaces"),
    ],
)
def test_a_broken_harness_is_not_a_broken_backend(pytester: pytest.Pytester, factory: str, words: str) -> None:
    result, rows = run(
        pytester,
        f"""
        SHARED = MemoryCache()

        class TestHarness(OneContract):
            def make_backend(self, namespace):
                {factory}
        """,
    )
    assert result.ret == 1
    assert {row["verdict"] for row in rows.values()} == {"INCONCLUSIVE"}
    assert words in rows["T-01"]["reason"]


def test_a_dead_server_is_no_verdict_on_the_backend(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class TestDead(OneContract):
            def make_backend(self, namespace):
                raise UnavailableError("nobody answers on port 1")
        """,
    )
    assert {row["verdict"] for row in rows.values()} == {"SKIPPED"}
    assert result.ret == 1


def test_a_harness_that_skips_is_named(pytester: pytest.Pytester) -> None:
    """An author may do so, where a server is not there: the clauses are skipped, and it is said who did it."""
    result, rows = run(
        pytester,
        """
        class TestAbsent(OneContract):
            def make_backend(self, namespace):
                pytest.skip("no server here")
        """,
    )
    assert {row["verdict"] for row in rows.values()} == {"SKIPPED"}
    assert rows["T-01"]["reason"].endswith("TestAbsent.make_backend called pytest.skip: no server here")
    assert result.ret == 1


def test_a_crash_of_the_clause_itself_is_inconclusive(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class Crashing(OneContract):
            @clause("T-04", "Crashes.", because="x", sees=("a", 1))
            def test_crash(self, backend, evidence):
                {}["missing"]

        class TestCrash(Crashing):
            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert result.ret == 1
    assert rows["T-04"]["verdict"] == "INCONCLUSIVE"
    assert "crashed: KeyError" in rows["T-04"]["reason"]


def test_a_hanging_clause_ends(pytester: pytest.Pytester) -> None:
    _, rows = run(
        pytester,
        """
        class Slow(OneContract):
            @clause("T-05", "Ends.", because="x", sees=("a", 1), seconds=0.5)
            def test_slow(self, backend, evidence):
                backend.set("k", 1)
                try:
                    time.sleep(60)
                except Exception:
                    pass

        class TestSlow(Slow):
            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert rows["T-05"]["verdict"] == "INCONCLUSIVE"
    assert "did not end within 0.5 s" in rows["T-05"]["reason"]


def test_other_tests_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain():\n    assert True\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "stackproof: verdicts" not in result.stdout.str()


def test_the_stream_of_events_is_complete(pytester: pytest.Pytester) -> None:
    from stackproof.contracts.ledger import Ledger
    from stackproof.contracts.stream import from_lines

    events = pytester.path / "events.jsonl"
    run(
        pytester,
        """
        class TestGood(OneContract):
            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
        "--stackproof-events",
        str(events),
    )
    ledger = Ledger()
    for event in from_lines(Path(events).read_text().splitlines(keepends=True)):
        ledger.feed(event)
    assert ledger.open() == []
    assert ledger.ended is not None
    assert [row.clause for row in ledger.rows()] == ["T-01", "T-03"]


@pytest.mark.parametrize(
    "change",
    [
        "@pytest.fixture\n            def evidence(self, case):\n"
        "                case.evidence.saw('reads', 9)\n                return case.evidence",
        "@pytest.fixture\n            def another(self):\n                return lambda: MemoryCache()",
    ],
)
def test_a_replaced_fixture_alters_every_clause(pytester: pytest.Pytester, change: str) -> None:
    result, rows = run(
        pytester,
        f"""
        class TestGood(OneContract):
            {change}

            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert result.ret == 1
    assert all("was replaced in TestGood" in row["altered"] for row in rows.values())


def test_a_replaced_helper_of_a_concern_alters_every_clause(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from stackproof.adapters.cache.memory import MemoryCache
        from stackproof.contracts import CacheContract

        class TestEasy(CacheContract):
            only_clauses = frozenset({"LIFE-01"})

            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)

            def exercise(self, backend):
                pass
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == 1
    assert "[altered: exercise was replaced in TestEasy]" in result.stdout.str()


def test_a_clause_that_is_deleted_from_the_contract_is_missed(pytester: pytest.Pytester) -> None:
    _, rows = run(
        pytester,
        """
        del SmallContract.test_set_get

        class TestGood(OneContract):
            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert rows["T-01"]["altered"] == "test_set_get was removed"


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("CacheCapabilities(ttl_resolution=float('nan'))", "a finite number of at least 0 is needed"),
        ("CacheCapabilities(max_key_bytes=0)", "a whole number of at least 16 is needed"),
        ("CacheCapabilities(max_value_bytes=0)", "a whole number of at least 1 is needed"),
        ("{'shared': True}", "capabilities must be CacheCapabilities(...), not dict"),
    ],
)
def test_capabilities_that_cannot_be_true_are_refused(pytester: pytest.Pytester, declared: str, words: str) -> None:
    result, _ = run(
        pytester,
        f"""
        class TestGood(OneContract):
            capabilities = {declared}

            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert result.ret != 0
    assert words in result.stdout.str()


def test_make_backend_may_use_what_an_autouse_fixture_set_up(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class TestWithServer(OneContract):
            @pytest.fixture(autouse=True)
            def server(self):
                self.url = "memory://"

            def make_backend(self, namespace):
                assert self.url
                return MemoryCache(namespace=namespace)
        """,
    )
    assert result.ret == 0
    assert {row["verdict"] for row in rows.values()} == {"PASS"}


def test_the_suggested_command_can_be_pasted(pytester: pytest.Pytester) -> None:
    body = """
        class TestBroken(OneContract):
            @pytest.fixture(autouse=True, params=["a b"])
            def kind(self, request):
                return request.param

            def make_backend(self, namespace):
                backend = MemoryCache(namespace=namespace)
                backend.get, real = (lambda key: real(key) if key == "smoke" else MISSING), backend.get
                return backend
        """
    result, _ = run(pytester, body, "--stackproof-profile", "full")
    again = next(line for line in result.outlines if "again: pytest" in line).partition("again: pytest ")[2]
    assert "full" in again
    words = shlex.split(again)
    assert words[0].endswith("::TestBroken::test_set_get[a b]")
    repeated = pytester.runpytest_subprocess(*words, "-p", "no:cacheprovider")
    repeated.assert_outcomes(failed=1)


def test_verdicts_that_cannot_be_written_are_told_and_no_success(pytester: pytest.Pytester) -> None:
    body = """
        class TestGood(OneContract):
            capabilities = CacheCapabilities(shared=True)

            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """
    result, _ = run(pytester, body)
    assert result.ret == 0
    result = pytester.runpytest_subprocess("--stackproof-json", "/dev/full", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*2 PASS of 2*", "The verdicts could not be written to /dev/full: No space left*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
