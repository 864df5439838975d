"""Certificates made by hand, for the tests of the reports."""

from __future__ import annotations

from dataclasses import replace

from stackproof.contracts.stream import PlannedClause
from stackproof.contracts.verdicts import ClauseResult, Failure, Verdict
from stackproof.verification.certificate import Certificate, ClauseRecord, ServerRecord, TargetRecord

HOSTILE = "<script>alert(\"x\")</script> 'q' & [bold red]m[/] ]]> \x00\x1b[31m\x07 \ud800 \u202e ende\ufffe"
"""What a third party's text may hold: markup of three languages, controls, half a character, a reversed line."""

POSTGRES = ServerRecord(
    "postgres", "embedded", "native", "18.4", {"fsync": "off", "synchronous_commit": "on", "max_connections": "100"}
)
REDIS = ServerRecord("redis", "embedded", "native", "6.2.14", {"appendonly": "no", "maxmemory-policy": "noeviction"})


def clause(
    clause_id: str,
    rule: str,
    *,
    target: str = "cache=redis",
    verdict: Verdict = Verdict.PASS,
    sees: tuple[tuple[str, int], ...] = (("round trips", 3),),
    evidence: dict[str, int] | None = None,
    fidelity: str = "native",
    **more: object,
) -> ClauseRecord:
    """A clause and how it ended; evidence just enough for a pass where none is given."""
    planned = PlannedClause(
        clause_id,
        rule,
        str(more.pop("because", "callers rely on it without a second thought")),
        more.pop("learnt_from", ()),  # type: ignore[arg-type]
        sees,
        str(more.pop("needs", "")),
        str(more.get("altered", "")),
    )
    seen = {name: minimum + 1 for name, minimum in sees} if evidence is None else evidence
    concern = target.partition("=")[0]
    result = ClauseResult(clause_id, concern, target, verdict, evidence=seen, **more)  # type: ignore[arg-type]
    return ClauseRecord(planned, result, fidelity)


def holds() -> Certificate:
    """Two backends, and nothing wrong with either."""
    return Certificate(
        id="20261123-214501-7f3a",
        created="2026-11-23T21:45:01+00:00",
        seconds=23.41,
        version="0.1.0",
        suite_digest="5d" * 32,
        command="stackproof verify --stack development --seed 1",
        stack="development",
        profile="core",
        seed=1,
        origin="embedded",
        environment={
            "python": "CPython 3.11.2",
            "system": "Linux 6.1 x86_64",
            "processor": "AMD EPYC 7B13",
            "cores": "2",
        },
        servers=(POSTGRES, REDIS),
        targets=(
            TargetRecord(
                "interactions=postgres",
                "interactions",
                "stackproof.adapters.interactions.postgres.PostgresInteractionStore",
                "ab" * 32,
                "postgres",
                "native",
                {"bulk": True, "durable": True, "max_text_bytes": 512, "timestamp_resolution": 0.000001},
            ),
            TargetRecord(
                "cache=redis",
                "cache",
                "stackproof.adapters.cache.redis.RedisCache",
                "cd" * 32,
                "redis",
                "native",
                {"ttl_resolution": 0.001, "max_key_bytes": 1024, "max_value_bytes": 1048576, "shared": True},
            ),
        ),
        clauses=(
            clause(
                "LIFE-01",
                "Disconnecting again is a no-op.",
                target="interactions=postgres",
                sees=(("repeated disconnects", 2),),
                seconds=0.021,
            ),
            clause(
                "INTERACTION-01",
                "An interaction that was recorded is counted in the summaries of its customer, also for another instance.",
                target="interactions=postgres",
                sees=(("interactions counted", 4), ("instances that read", 2)),
                seconds=0.114,
                learnt_from=("I1", "I7"),
            ),
            clause(
                "CACHE-01",
                "A value that was set is read back equal, of every type that JSON has.",
                sees=(("values read back", 12),),
                seconds=0.048,
            ),
            clause(
                "CACHE-03",
                "Concurrent callers of get_or_fetch share one fetch.",
                sees=(("overlapping callers", 2),),
                evidence={"overlapping callers": 8, "fetches": 1},
                seconds=0.237,
                learnt_from=("C3", "C18", "C21"),
                because="a popular key that expires would send every caller to the database",
            ),
            clause(
                "CACHE-14",
                "Two instances see the same entries.",
                verdict=Verdict.NOT_SUPPORTED,
                needs="shared",
                evidence={"absence probes": 2},
                reason="shared is not declared, and was proven absent",
                seconds=0.009,
            ),
        ),
    )


def with_all_verdicts() -> Certificate:
    """All six verdicts, a clause that was altered, and a backend whose texts are hostile."""
    failure = Failure(
        "an entry with a ttl of 0.4 s, after 1.5 s: expected missing",
        ('cache.set("k", "v", ttl=0.4)', "... 1.50 s later", 'cache.get("k") -> "v"'),
        "missing",
        '"v"',
        "stackproof verify --backend cache=mypkg.cache:make --clause CACHE-06 --seed 1",
    )
    third = "logs=" + HOSTILE
    return replace(
        holds(),
        targets=(
            *holds().targets,
            TargetRecord(third, "logs", HOSTILE, "", "", "emulator", {"structured": False}, "backend", HOSTILE),
        ),
        clauses=(
            *holds().clauses,
            clause(
                "CACHE-06",
                "A ttl is kept to the fraction of a second.",
                verdict=Verdict.FAIL,
                evidence={"round trips": 1},
                reason="fractions are common",
                because="a ttl is a promise about freshness",
                learnt_from=("C11", "C12"),
                failure=failure,
                seconds=1.512,
            ),
            clause(
                "CACHE-07",
                "An entry without a ttl stays.",
                verdict=Verdict.INCONCLUSIVE,
                evidence={"round trips": 1},
                reason="too little evidence: round trips: 1 of 3",
                seconds=0.4,
            ),
            clause(
                "CACHE-08",
                "Deleting tells whether there was something.",
                altered="test_delete_tells was overridden in TestMine",
                seconds=0.01,
            ),
            clause(
                "CACHE-09",
                "A key with any character is a key.",
                verdict=Verdict.SKIPPED,
                evidence={},
                reason="the run was interrupted before it",
            ),
            clause(
                "CACHE-10",
                "A new clause.",
                verdict=Verdict.PROVISIONAL,
                reason="new in 0.1; would be PASS.",
                seconds=0.02,
            ),
            clause(
                "LOG-01",
                "Each record arrives as one object.",
                target=third,
                verdict=Verdict.FAIL,
                evidence={HOSTILE: 1},
                reason=HOSTILE,
                failure=Failure(HOSTILE, (HOSTILE, HOSTILE), HOSTILE, HOSTILE, HOSTILE),
                notes=(HOSTILE,),
                altered=HOSTILE,
                fidelity="emulator",
            ),
        ),
        environment={HOSTILE: HOSTILE},
        command=HOSTILE,
        interrupted=True,
    )
