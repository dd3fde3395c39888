"""From the word of a person to the last request, with real flows in other processes: no further one is sent."""

import json

import pytest
from rich.console import Console

from flows.benchmarks.operation import control_latency

AT_LAST_S = 1800.0
"""Nobody waits for so long: a campaign is watched until it says that it obeyed, however busy the machine is."""
pytestmark = pytest.mark.slow


@pytest.mark.fault("O-17")
def test_no_request_follows_a_pause_or_a_stop_with_the_server_up_or_killed():
    result = control_latency.run_control_latency_benchmark(tries=8, together=4, seed=3, look_s=AT_LAST_S)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {kind: (each["tries"], each["late requests"]) for kind, each in result["kinds"].items()} == {
        "up": (4, 0),
        "down": (4, 0),
    }
    assert all(bar["met"] for bar in result["bars"])
    assert [each["silent"] for each in result["kinds"].values()] == [0, 0], "each says that it obeyed"
    console = Console(width=200)
    with console.capture() as text:
        console.print(control_latency.control_latency_table(result))
    assert "killed under the campaign" in text.get()
