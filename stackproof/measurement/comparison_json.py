"""A comparison as JSON, described field by field in ``comparison.schema.json`` beside this file. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from .compared import Comparison, MetricResult
from .comparison import RECOMMENDED_PAIRS

SCHEMA = "stackproof-comparison/1"


def to_json(comparison: Comparison) -> str:
    """The comparison as JSON text."""
    data = {
        "schema": SCHEMA,
        "outcome": comparison.outcome.value,
        "reasons": comparison.reasons,
        "notes": comparison.notes,
        "first": comparison.runs[0],
        "second": comparison.runs[1],
        "threshold": comparison.threshold,
        "confidence": comparison.confidence,
        "paired": comparison.paired,
        "recommended_pairs": RECOMMENDED_PAIRS,
        "accepted": comparison.accepted,
        "differences": [asdict(difference) for difference in comparison.differences],
        "metrics": [_row(result) for result in comparison.metrics],
    }
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _row(result: MetricResult) -> dict[str, Any]:
    return {
        "metric": result.metric.name,
        "unit": result.metric.unit,
        "more_is_better": result.metric.more_is_better,
        "verdict": result.verdict.value,
        "sentence": result.sentence,
        "effect": None if result.effect is None else asdict(result.effect),
        "first": asdict(result.first),
        "second": asdict(result.second),
    }
