"""Whatever befalls a campaign, in any order: its ledger keeps every request and counts each measurement once."""

import pytest
from hypothesis import settings
from lives import Life

TestLife = pytest.mark.slow(Life.TestCase)
TestLife.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
