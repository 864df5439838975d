"""No quiet holes: whatever keeps a clause of a broken backend from being looked at, the session does not end well."""

from __future__ import annotations

import textwrap

import pytest
from plugin_samples import run

BROKEN = """
    class Broken(MemoryCache):
        def get(self, key):
            found = super().get(key)
            return found if key == "smoke" else MISSING

    class TestMine(OneContract):
        def make_backend(self, namespace):
            return Broken(namespace=namespace)

    def test_other():
        pass
"""
QUIET = """
    import functools
    def quiet(body):
        @functools.wraps(body)
        def body_without_errors(*args, **options):
            try:
                body(*args, **options)
            except AssertionError:
                options["evidence"].saw("reads")
        return body_without_errors
"""
GOOD_AND_BAD = """
    class Broken(MemoryCache):
        def get(self, key):
            found = super().get(key)
            return found if key == "smoke" else MISSING

    class TestBoth(OneContract):
        @pytest.fixture(autouse=True, params={params!r}, scope={scope!r})
        def kind(self, request):
            {by}.kind_of_backend = {{"good": MemoryCache, "bad": Broken}}[request.param]

        def make_backend(self, namespace):
            return self.kind_of_backend(namespace=namespace)
"""


def with_conftest(pytester: pytest.Pytester, conftest: str) -> None:
    pytester.makeconftest(textwrap.dedent(conftest))


@pytest.mark.parametrize("params", [("good", "bad"), ("bad", "good")], ids="-".join)
@pytest.mark.parametrize(("scope", "by"), [("function", "self"), ("class", "request.cls")])
def test_the_worst_of_a_parametrised_class_is_told(
    pytester: pytest.Pytester, params: tuple[str, str], scope: str, by: str
) -> None:
    events = pytester.path / "events.jsonl"
    body = GOOD_AND_BAD.format(params=params, scope=scope, by=by)
    result, rows = run(pytester, body, "--stackproof-events", str(events))
    assert result.ret == 1
    assert {clause: row["verdict"] for clause, row in rows.items()} == {"T-01": "FAIL", "T-03": "FAIL"}
    ends = [line for line in events.read_text().splitlines() if '"FAIL"' in line]
    assert len(ends) == 2, "what the stream tells is what the ledger knows, once for each clause"


def test_a_clause_that_met_only_some_of_the_parameters_is_no_pass(pytester: pytest.Pytester) -> None:
    body = GOOD_AND_BAD.format(params=("good", "bad"), scope="function", by="self")
    result, rows = run(pytester, body, "-k", "good")
    assert result.ret == 0, "it was asked for on the command line"
    assert {row["verdict"] for row in rows.values()} == {"SKIPPED"}
    with_conftest(
        pytester, "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'bad' not in i.name]"
    )
    result, rows = run(pytester, body)
    assert result.ret == 1
    assert {row["verdict"] for row in rows.values()} == {"SKIPPED"}


def test_a_clause_that_met_only_some_of_the_parameters_is_broken_all_the_same(pytester: pytest.Pytester) -> None:
    body = GOOD_AND_BAD.format(params=("bad", "good"), scope="class", by="request.cls")
    result, rows = run(pytester, body, "--maxfail", "1")
    assert result.ret == 1
    assert rows["T-01"]["verdict"] == "FAIL"
    assert rows["T-03"]["reason"] == "not executed: the session ended before it"


@pytest.mark.parametrize(
    ("patch", "seen"),
    [
        ("recorder.judge = lambda case, error: (Verdict.PASS, '', None)", "recorder.judge was patched"),
        ("evidence.Evidence.missing = staticmethod(lambda *a: [])", "Evidence.missing was patched"),
        ("evidence.Evidence.missing.__code__ = (lambda self, required: []).__code__", "Evidence.missing was patched"),
        ("judge.isinstance = lambda *a: False", "judge.isinstance was patched"),
        ("recorder.patched = lambda: ''\nrecorder.judge = lambda *a: (Verdict.PASS, '', None)", "recorder.judge was"),
        ("import stackproof.contracts as c\nc.contract_for = None", "contracts.contract_for was patched"),
        ("import stackproof.interfaces.errors as e\ne.ClosedError.__init__ = None", "ClosedError.__init__ was patched"),
        ("import sys, types\nsys.modules['stackproof.contracts.evidence'] = types.ModuleType('x')", "evidence was"),
    ],
)
def test_what_is_patched_in_the_suite_is_seen(pytester: pytest.Pytester, patch: str, seen: str) -> None:
    imports = (
        "from stackproof.contracts import judge, recorder, evidence\nfrom stackproof.contracts.verdicts import Verdict"
    )
    with_conftest(pytester, f"{imports}\n{patch}")
    result, rows = run(pytester, BROKEN)
    assert result.ret == 1
    assert seen in rows["T-01"]["altered"]


def test_modules_that_are_imported_late_are_not_taken_for_patched(pytester: pytest.Pytester) -> None:
    with_conftest(
        pytester,
        """
        import importlib, pkgutil, stackproof.contracts

        def pytest_runtest_setup(item):
            for module in pkgutil.walk_packages(stackproof.contracts.__path__, "stackproof.contracts."):
                importlib.import_module(module.name)
        """,
    )
    result, rows = run(pytester, BROKEN.replace("Broken(namespace", "MemoryCache(namespace"))
    assert result.ret == 0
    assert {row["altered"] for row in rows.values()} == {""}


@pytest.mark.parametrize("where", ["hook", "class"])
def test_a_body_that_is_replaced_for_the_call_is_seen(pytester: pytest.Pytester, where: str) -> None:
    body = BROKEN
    if where == "hook":
        hook = "\n    def pytest_runtest_call(item):\n        item.obj = quiet(item.obj)\n"
        with_conftest(pytester, QUIET + hook)
    else:
        body = QUIET + body.replace(
            "class TestMine(OneContract):",
            "class TestMine(OneContract):\n"
            "        def __getattribute__(self, name):\n"
            "            found = object.__getattribute__(self, name)\n"
            "            return quiet(found) if name.startswith('test_') else found\n",
        )
    result, rows = run(pytester, body)
    assert rows["T-01"]["verdict"] == "PASS", "the assertion was swallowed"
    assert rows["T-01"]["altered"] in ("its body was replaced", "__getattribute__ was replaced in TestMine")
    assert result.ret == 1


NOTHING = "items[:] = [item for item in items if item.cls is None]"
HOOKS = {
    "items are removed": f"def pytest_collection_modifyitems(items):\n    {NOTHING}",
    "removed before anybody": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
    f"def pytest_collection_modifyitems(items):\n    {NOTHING}",
    "removed by name": "def pytest_collection_modifyitems(items):\n"
    "    items[:] = [item for item in items if 'set_get' not in item.name and 'shared' not in item.name]",
    "an exit without an error": "import pytest\ndef pytest_runtest_setup(item):\n    pytest.exit('enough', returncode=0)",
    "another protocol": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
    "def pytest_runtest_protocol(item, nextitem):\n    return True",
    "another loop": "def pytest_runtestloop(session):\n    return True",
    "another status": "import pytest\n@pytest.hookimpl(trylast=True)\n"
    "def pytest_sessionfinish(session):\n    session.exitstatus = 0",
    "nothing is made of a class": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
    "def pytest_pycollect_makeitem(name):\n    return [] if name == 'TestMine' else None",
    "nothing is made of a method": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
    "def pytest_pycollect_makeitem(name):\n    return [] if name == 'test_set_get' else None",
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS.keys())
def test_a_hook_that_takes_clauses_away_does_not_make_a_session_green(pytester: pytest.Pytester, hook: str) -> None:
    with_conftest(pytester, hook)
    result, rows = run(pytester, BROKEN)
    assert result.ret == 1
    assert set(rows) == {"T-01", "T-03"}
    assert rows["T-01"]["verdict"] != "PASS"


@pytest.mark.parametrize(
    "options",
    [
        "-k shared",
        "-k test_other",
        "--stackproof-clause T-03",
        "--deselect test_options_of_a_file_are_not_the_developers_word.py::TestMine::test_set_get",
    ],
)
def test_options_of_a_file_are_not_the_developers_word(pytester: pytest.Pytester, options: str) -> None:
    pytester.makeini(f"[pytest]\naddopts = {options}")
    body = BROKEN.replace('if key == "smoke"', 'if key == "smoke" or self.get_all')
    body = body.replace("class Broken(MemoryCache):", "class Broken(MemoryCache):\n        get_all = True")
    result, rows = run(pytester, body)
    assert result.ret == 1
    assert rows["T-01"]["verdict"] == "SKIPPED"
    assert rows["T-01"]["altered"]


@pytest.mark.parametrize(
    ("options", "executed"),
    [
        (("-k", "shared"), {"T-03"}),
        (("-vxk", "shared"), {"T-03"}),
        (("-k", "test_other"), set()),
        (("-m", "not slow", "-k", "shared"), {"T-03"}),
        (("--stackproof-clause", "T-03"), {"T-03"}),
        (("--stackproof-clause=T-03",), {"T-03"}),
        (("--stackproof-clause", "T-03", "--stackproof-clause", "STORE-01"), {"T-03"}),
        (("test_what_was_typed_may_be_a_part.py::TestMine::test_shared",), {"T-03"}),
        (("test_what_was_typed_may_be_a_part.py::TestMine::test_shared", "-q"), {"T-03"}),
    ],
)
def test_what_was_typed_may_be_a_part(pytester: pytest.Pytester, options: tuple[str, ...], executed: set[str]) -> None:
    body = BROKEN.replace("Broken(namespace", "MemoryCache(namespace")
    result, rows = run(pytester, body, *options)
    assert result.ret == 0
    assert {clause for clause, row in rows.items() if row["verdict"] == "PASS"} == executed
    assert {row["altered"] for row in rows.values()} == {""}
    assert "Only a part of the contract was executed" in result.stdout.str()


def test_another_test_of_the_file_may_be_asked_for(pytester: pytest.Pytester) -> None:
    name = "test_another_test_of_the_file_may_be_asked_for.py::test_other"
    result, rows = run(pytester, BROKEN, name)
    assert result.ret == 0
    assert rows == {}


def test_a_class_that_is_deselected_as_a_whole_is_not_green(pytester: pytest.Pytester) -> None:
    name = "test_a_class_that_is_deselected_as_a_whole_is_not_green.py::TestMine"
    result, _ = run(pytester, BROKEN, "--deselect", name)
    assert result.ret == 1


@pytest.mark.parametrize("clauses", [("T-99",), ("T-03", "T-99"), ("STORE-01",)], ids="-".join)
def test_an_unknown_clause_is_refused(pytester: pytest.Pytester, clauses: tuple[str, ...]) -> None:
    result, _ = run(pytester, BROKEN, *(word for clause in clauses for word in ("--stackproof-clause", clause)))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{clauses[-1]}: no contract of this session has that clause" in result.stderr.str()


@pytest.mark.parametrize(
    ("inside", "altered"),
    [
        ("only_clauses = frozenset({'T-03'})", "left out by only_clauses"),
        ("def __init__(self): pass", "pytest did not collect it"),
    ],
)
def test_a_class_that_hides_its_clauses_is_not_green(pytester: pytest.Pytester, inside: str, altered: str) -> None:
    body = BROKEN.replace("class TestMine(OneContract):", f"class TestMine(OneContract):\n        {inside}")
    result, rows = run(pytester, body, "-W", "ignore")
    assert result.ret == 1
    assert set(rows) == {"T-01", "T-03"}
    assert rows["T-01"]["altered"] == altered


def test_another_proof_of_absence_is_seen(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class TestMine(OneContract):
            capabilities = CacheCapabilities(shared=False)

            @absence("T-03")
            def prove_nothing(self, evidence):
                evidence.saw("absence probes")

            def make_backend(self, namespace):
                return MemoryCache(namespace=namespace)
        """,
    )
    assert result.ret == 1
    assert rows["T-03"]["verdict"] == "FAIL"
    assert rows["T-03"]["altered"] == "the proof that shared is absent was replaced"


def test_two_classes_of_one_name_are_two_backends(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        BROKEN.replace("class TestMine(OneContract):", "class TestMine(OneContract):\n        target_name = 'mine'")
        + """
    class TestFirst(OneContract):
        target_name = "mine"
        only_shared = True

        def make_backend(self, namespace):
            return MemoryCache(namespace=namespace)
    """,
    )
    assert result.ret == 1
    assert rows
    assert "mine (" in result.stdout.str()


def test_trouble_at_the_first_use_is_not_green(pytester: pytest.Pytester) -> None:
    result, rows = run(
        pytester,
        """
        class CannotClean(MemoryCache):
            def drop_namespace(self):
                raise RuntimeError("cannot drop")

        class TestMine(OneContract):
            def make_backend(self, namespace):
                return CannotClean(namespace=namespace)
        """,
    )
    assert {row["verdict"] for row in rows.values()} == {"PASS"}
    assert result.ret == 1
    assert "first use: backend trouble" in result.stdout.str()


@pytest.mark.parametrize(
    ("shares", "code", "why"),
    [
        ([], 0, ""),
        ([([], ["T-01"]), ([], ["T-03"])], 0, ""),
        ([([], ["T-01"]), ([], ["T-01", "T-03"])], 1, "T-01 ran in no process"),
        ([([], []), (["T-03 of mine: altered"], [])], 1, "T-03 of mine: altered"),
    ],
    ids=["no contract", "each clause somewhere", "a clause nowhere", "altered"],
)
def test_processes_that_share_the_tests_hold_together_or_not_at_all(
    pytester: pytest.Pytester, shares: list[tuple[list[str], list[str]]], code: int, why: str
) -> None:
    """As pytest-xdist reports the ends of its processes to the one that has no tests itself."""
    with_conftest(
        pytester,
        f"""
        from types import SimpleNamespace

        def pytest_runtestloop(session):
            plugin = session.config.pluginmanager.getplugin("stackproof")
            for share in {shares!r}:
                plugin.pytest_testnodedown(SimpleNamespace(config=session.config, workeroutput={{"stackproof": share}}))
        """,
    )
    pytester.makepyfile("def test_other():\n    pass\n")
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert ran.ret == code
    assert ("why this is no success" in ran.stdout.str()) == bool(why)
    assert why in ran.stdout.str()


def test_a_process_that_shares_the_tests_tells_of_its_share(pytester: pytest.Pytester) -> None:
    with_conftest(
        pytester,
        """
        def pytest_configure(config):
            config.workeroutput = {}

        def pytest_collection_finish(session):
            session.items[:] = [item for item in session.items if "shared" not in item.name]

        def pytest_unconfigure(config):
            print("told", config.workeroutput)
        """,
    )
    good = BROKEN.replace("Broken(namespace", "MemoryCache(namespace")
    name = "test_a_process_that_shares_the_tests_tells_of_its_share.py::TestMine"
    result, _ = run(pytester, good)
    why = f"T-03 of {name}: SKIPPED: taken out of the session, and not by what was typed on the command line"
    assert f"told {{'stackproof': (['{why}'], [])}}" in result.stdout.str()
    with_conftest(
        pytester,
        """
        def pytest_configure(config):
            config.workeroutput = {}

        def pytest_runtest_protocol(item, nextitem):
            return True if "shared" in item.name else None

        def pytest_unconfigure(config):
            print("told", config.workeroutput)
        """,
    )
    result, _ = run(pytester, good)
    assert f"told {{'stackproof': ([], ['T-03 of {name}'])}}" in result.stdout.str()


def test_an_interruption_that_pytest_cannot_describe_is_one_all_the_same(pytester: pytest.Pytester) -> None:
    """CPython has instructions that belong to no line, and pytest stumbles over them."""
    with_conftest(
        pytester,
        """
        def pytest_keyboard_interrupt(excinfo):
            raise TypeError("no line number")

        def pytest_runtest_setup(item):
            raise KeyboardInterrupt
        """,
    )
    result, rows = run(pytester, BROKEN)
    assert result.ret != 0
    assert {row["reason"] for row in rows.values()} == {"not executed: interrupted"}
