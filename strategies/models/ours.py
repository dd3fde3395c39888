"""Our best answer to a problem of many solutions: a conditional spline, evenly drawn, localised by Gauss-Newton."""

from strategies.models.localised import LocalisedModel


def ours(
    seconds: float = 180.0,
    forward_steps: int = 150,
    fewest: int = 200,
    seed: int = 0,
    steps: int = 5000,
    noise: bool = True,
) -> LocalisedModel:
    """Three parts, each the best of its kind on the benchmark problems.

    A conditional spline finds every solution and how likely each is, a Sobol sequence of its noise leaves none out, and
    Gauss-Newton on separate forward networks makes them exact.

    Args:
        seconds: As in ``Deep``, and so are the next ones.
        forward_steps: Of each forward network.
        fewest: Distinct settings from which on there are networks.
        seed: Decides the training.
        steps: Of the spline.
        noise: As in ``LocalisedModel``.
    """
    options = {"latent": "sobol", "seconds": seconds, "forward_steps": forward_steps, "fewest": fewest}
    options |= {"seed": seed, "steps": steps}
    return LocalisedModel("conditional-spline", options, noise=noise)
