"""What pytest collects in a worker: one contract class for each target of the plan."""

from __future__ import annotations

import os
from pathlib import Path

from stackproof.adapters.settings import Settings
from stackproof.verification.harness import contract_class
from stackproof.verification.plan import PLAN_VARIABLE, Plan

_path = os.environ.get(PLAN_VARIABLE)
if _path is not None:
    _plan = Plan.from_json(Path(_path).read_text(encoding="utf-8"))
    _settings = Settings.from_environment()
    for _number, _target in enumerate(_plan.targets):
        globals()[f"Test{_number:03d}"] = contract_class(_target, _settings)
