"""Tables as CSV, Parquet or JSON lines, so that what is read back is what was measured: no number is rounded on the way.

pandas and pyarrow (the extra ``export``) write the first two; JSON lines need nothing.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from stackproof.interfaces import ConfigurationError
from stackproof.measurement.tables import REAL, TEXT, TRUTH, WHOLE, Table

_TYPES = {TEXT: "string", WHOLE: "Int64", REAL: "Float64", TRUTH: "boolean"}
"""pandas' types that know a missing value, so that a count beside one stays a whole number."""


def csv_bytes(table: Table) -> bytes:
    """With a head; a missing value is an empty cell. Numbers are written with all their digits."""
    text: str = _frame(table, "--csv", "pandas").to_csv(index=False, lineterminator="\n")
    return text.encode()


def parquet_bytes(table: Table) -> bytes:
    """With nullable columns of the types that the table has."""
    buffer = BytesIO()
    _frame(table, "--parquet", "pandas", "pyarrow").to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def json_lines_bytes(table: Table) -> bytes:
    """One object a row; a missing value is null."""
    lines = [json.dumps(row, ensure_ascii=False) for row in table.records()]
    return "".join(f"{line}\n" for line in lines).encode()


FORMATS: Mapping[str, Callable[[Table], bytes]] = {
    "csv": csv_bytes,
    "parquet": parquet_bytes,
    "jsonl": json_lines_bytes,
}


def _frame(table: Table, option: str, *needed: str) -> Any:
    """As a data frame; `ConfigurationError` with the line to type where a package is missing."""
    if any(importlib.util.find_spec(name) is None for name in needed):
        raise ConfigurationError(f"{option} needs {' and '.join(needed)}; type: pip install 'stackproof[export]'")
    import pandas

    columns = {
        name: pandas.array([row[place] for row in table.rows], dtype=_TYPES[kind])
        for place, (name, kind) in enumerate(table.columns.items())
    }
    return pandas.DataFrame(columns)
