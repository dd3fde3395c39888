"""The inverse problem at a candidate, as plain data: what the target determines there, and what it leaves open."""

from typing import Any

import numpy as np

from sdl.space import Settings
from strategies.answers.diagnosis import Diagnosis, diagnose, regularised
from strategies.contract import InverseModel
from strategies.numerics.continuation import follow
from strategies.numerics.projection import project
from strategies.solving.model_answer import plugin_error_sentence, reading_noise
from strategies.solving.problem import InverseProblem


def diagnose_answer(name: str, model: InverseModel, problem: InverseProblem, settings: Settings) -> dict[str, Any]:
    """What the forward half of a model says of the problem at settings ``(d,)`` in the unit box.

    Returns:
        Plain data: ``model``, ``error``, and if that is None ``settings``, ``noise`` of a reading by channel,
        ``jacobian`` (by channel, then knob, in units of both), ``singular`` values in units of noise over the width of
        the box, ``condition`` (None for a direction without effect), ``undetermined`` (directions in the unit box that
        the target leaves open), ``deviation`` of each knob for the noise of one reading, ``sentences``, ``regularised``
        (the settings nearest to the middle of the rows that noise cannot tell from the target: ``settings``,
        ``readings``, ``strength``, ``misfit``, ``allowed``, ``met``, ``reason``), ``projected`` (the target as the
        model can produce it: ``settings``, ``readings``, ``distance`` in units of noise) and ``path`` (the straight
        line of readings from the row nearest to the target: ``start``, ``settings`` at its end, ``share`` of the way,
        ``reached``, ``reason``).
    """
    try:
        unit, wanted = reading_noise(model, problem), problem.target - problem.background
        diagnosis = diagnose(model.predict, settings, wanted, unit)
        kept = regularised(model.predict, wanted, unit, np.clip(problem.settings.mean(axis=0), 0, 1))
        near = project(model.predict, wanted[None], unit, problem.space.d)
        start = int(np.argmin((((problem.readings - wanted) / unit) ** 2).sum(axis=1)))
        path = follow(model.predict, problem.settings[start], wanted, unit, problem.readings[start])
    except Exception as error:
        return {"model": name, "error": plugin_error_sentence(name, error)}
    return {
        "model": name,
        "error": None,
        **_describe(diagnosis, problem),
        "noise": problem.named(unit),
        "regularised": {
            "settings": problem.named_settings(kept.settings),
            "readings": problem.named(kept.readings + problem.background),
            "strength": kept.strength if np.isfinite(kept.strength) else None,
            "misfit": kept.misfit,
            "allowed": kept.allowed,
            "met": bool(kept.met),
            "reason": kept.reason,
        },
        "projected": {
            "settings": problem.named_settings(near.settings[0]),
            "readings": problem.named(near.readings[0] + problem.background),
            "distance": float(near.distance[0]),
        },
        "path": {
            "start": problem.named_settings(problem.settings[start]),
            "settings": problem.named_settings(path.settings[-1]),
            "share": path.share,
            "reached": path.reached,
            "reason": path.reason,
        },
    }


def _describe(diagnosis: Diagnosis, problem: InverseProblem) -> dict[str, Any]:
    knobs, width = problem.space.knob_names, problem.space.high - problem.space.low
    slopes = [dict(zip(knobs, row, strict=True)) for row in (diagnosis.jacobian / width).tolist()]
    units = {problem.space.channels[column].unit for column in problem.space.columns(problem.names)}
    unit = units.pop().removesuffix("s") if len(units) == 1 else ""
    return {
        "settings": problem.space.named_settings(problem.space.from_unit(diagnosis.settings)),
        "jacobian": dict(zip(problem.names, slopes, strict=True)),
        "singular": diagnosis.singular.tolist(),
        "condition": diagnosis.condition if np.isfinite(diagnosis.condition) else None,
        "undetermined": [dict(zip(knobs, row, strict=True)) for row in diagnosis.undetermined.tolist()],
        "deviation": dict(zip(knobs, (diagnosis.deviation * width).tolist(), strict=True)),
        "sentences": diagnosis.sentences(knobs, problem.names, unit or "unit"),
    }
