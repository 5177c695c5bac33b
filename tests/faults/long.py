"""Which tests run only in the long version, ``make faults``."""

import os

import pytest

LONG = os.environ.get("GPUWARDEN_FAULTS") == "long"
only_long = pytest.mark.skipif(not LONG, reason="opt-in, takes minutes: make faults")
