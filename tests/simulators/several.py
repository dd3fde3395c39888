"""Four lamps on one campaign against one: ``PYTHONPATH=. python tests/simulators/several.py``.

The paper's target in the dark, on twins that differ by their noise alone; with ``--targets 3`` others at random
settings beside it, all of 2 %.
"""

import argparse

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.campaign.validation import resolve_target
from sdl.history import Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.several import Several
from strategies.evaluation.simulation import Simulation
from strategies.numerics.blas_threads import one_thread
from strategies.plan.plan import Plan

WHITE = {"name": "white", "readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}
WIDER = "2 %"


def targets(seed, number):
    """The paper's target, or several, all of them wider."""
    lamp, rng = Twin(seed=seed, session_gain=False), np.random.default_rng([seed, 5])
    at = rng.uniform(0.3, 0.9, (number - 1, 3))
    columns = lamp.space.columns(WHITE["readings"])
    others = [dict(zip(WHITE["readings"], row[columns].tolist(), strict=True)) for row in lamp.truth(at)]
    wider = [{"name": f"t{place}", "readings": row, "tolerance": WIDER} for place, row in enumerate(others)]
    return [WHITE | {"tolerance": WIDER}, *wider] if wider else [WHITE]


def run(seed, number, wanted):
    """Requests, batches, whether all targets were verified, and how many falsely."""
    written = {"name": "white", "seed": seed, "budget": 200, "instrument": "twin", "targets": targets(seed, wanted)}
    written = Campaign.parse(written)
    twins = [Twin(seed=1000 * seed + place, session_gain=False) for place in range(number)]
    instrument = Several(twins) if number > 1 else twins[0]
    simulation = Simulation(Plan(written, instrument.space), instrument)
    with one_thread():
        simulation.run()
    requests = len(simulation.observations)
    verified = [each for each in simulation.findings if each.verdict is Verdict.VERIFIED]
    windows = {each.name: resolve_target(twins[0].space, each).window for each in written.targets}
    false = sum(not windows[each.target].holds(twins[0].truth(each.settings[None])[0]) for each in verified)
    return requests, simulation.plates or requests, len(verified) == wanted, false


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(2000, 2040))
    parser.add_argument("--number", type=int, default=4)
    parser.add_argument("--targets", type=int, default=1)
    asked = parser.parse_args()
    for number in (1, asked.number):
        found = np.array([run(seed, number, asked.targets) for seed in range(*asked.seeds)])
        requests, batches, verified, false = found.T
        print(
            f"{number}: requests median {np.median(requests):g} mean {requests.mean():.1f}, batches median "
            f"{np.median(batches):g}, readings a batch {requests.sum() / batches.sum():.2f}, "
            f"verified {verified.sum()} of {len(found)}, falsely {false.sum()}",
            flush=True,
        )


if __name__ == "__main__":
    main()
