"""The main module of a worker: ends with its parent, tells where it hangs, and otherwise is pytest."""

from __future__ import annotations

import sys

import pytest

from stackproof.verification.orphan import end_with_parent, tell_where_when_asked

if __name__ == "__main__":
    end_with_parent()
    tell_where_when_asked()
    sys.exit(pytest.main(sys.argv[1:]))
