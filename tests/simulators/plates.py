"""Plates against one-by-one measuring, in memory: ``PYTHONPATH=. python tests/simulators/plates.py --tolerance '8 %'``.

Three targets at random settings of three dyes, noise of 2 %. The constants of ``strategies/plan/plates.py`` were
chosen on seeds 0 to 51, so what is reported is of others.
"""

import argparse

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.campaign.validation import resolve_target
from sdl.history import Verdict
from sdl.instruments.simulated.plate_reader import STRAY, PlateReader
from strategies.evaluation.simulation import Simulation
from strategies.numerics.blas_threads import one_thread
from strategies.plan.plan import Plan

TARGETS = 3


def campaign(seed, tolerance, stray=STRAY):
    reader, rng = PlateReader(seed, stray=stray), np.random.default_rng([seed, 77])
    wanted = reader.truth(rng.uniform(6, 54, (TARGETS, 3))).round(4)
    named = [dict(zip(reader.space.channel_names, row.tolist(), strict=True)) for row in wanted]
    targets = [{"name": f"t{place}", "readings": row, "tolerance": tolerance} for place, row in enumerate(named)]
    return Campaign.model_validate(
        {"name": "plate", "seed": seed, "budget": 200, "instrument": "plate-reader", "targets": targets}
    )


def run(seed, tolerance, stray=STRAY, **options):
    """Plates, requests, targets verified, and false verdicts of one campaign."""
    written, reader = campaign(seed, tolerance, stray), PlateReader(seed, stray=stray, **options)
    simulation = Simulation(Plan(written, reader.space), reader)
    with one_thread():
        simulation.run()
    verified = {each.target: each for each in simulation.findings if each.verdict is Verdict.VERIFIED}
    windows = {name: resolve_target(reader.space, written.target(name)).window for name in verified}
    false = sum(not windows[name].holds(reader.truth(each.settings[None])[0]) for name, each in verified.items())
    return simulation.plates, len(simulation.observations), len(verified), false


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(2000, 2040))
    parser.add_argument("--tolerance", default="8 %")
    parser.add_argument("--rim", type=float, default=0.0)
    parser.add_argument("--stray", type=float, default=STRAY, help="stray light: with 0.1 readings saturate at 1 AU")
    parser.add_argument("--missing", type=float, default=0.0)
    asked = parser.parse_args()
    seeds = range(*asked.seeds)
    ways = {"plates": {"rim": asked.rim, "missing": asked.missing}, "one by one": {"plate": None}}
    for way, options in ways.items():
        plates, requests, verified, false = np.array(
            [run(seed, asked.tolerance, asked.stray, **options) for seed in seeds]
        ).T
        print(
            f"{way}: {(verified == TARGETS).sum()} of {len(seeds)} settled all, plates {np.bincount(plates).tolist()}, "
            f"requests mean {requests.mean():.1f} median {np.median(requests):.0f}, false {false.sum()}",
            flush=True,
        )


if __name__ == "__main__":
    main()
