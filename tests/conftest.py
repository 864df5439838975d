"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

pytest_plugins = ["pytester"]

# For the examples, which are not installed. At the end of the path: the package under test is the installed one.
sys.path.append(str(Path(__file__).parent.parent))
