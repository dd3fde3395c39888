"""Our best answer to a problem of many solutions: a conditional spline, evenly drawn, localised by Gauss-Newton."""

from strategies.models.localised import LocalisedModel


def ours(
    steps: int = 6000, seconds: float = 180.0, fewest: int = 200, noise: bool = True, seed: int = 0
) -> LocalisedModel:
    """Three parts, each the best of its kind on the benchmark problems.

    A conditional spline finds every solution and how likely each is, a Sobol sequence of its noise leaves none out, and
    Gauss-Newton on separate forward networks makes them exact.

    Args:
        steps: As in ``Deep``.
        seconds: As in ``Deep``.
        fewest: As in ``Deep``.
        noise: As in ``LocalisedModel``.
        seed: As in ``Deep``.
    """
    options = {"latent": "sobol", "steps": steps, "seconds": seconds, "fewest": fewest, "seed": seed}
    return LocalisedModel("conditional-spline", options, noise=noise)
