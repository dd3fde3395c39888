"""Our best answer to a problem of many solutions: rejection on a forward model, localised by Gauss-Newton."""

from strategies.models.sampling.localised import LocalisedModel
from strategies.models.sampling.rejection import Rejection


def rejection_localised(
    seconds: float = 180.0,
    forward_steps: int = 400,
    fewest: int = 200,
    seed: int = 0,
    tried: int = 2**18,
    noise: bool = True,
) -> LocalisedModel:
    """Two parts, each the best of its kind on the benchmark problems.

    Rejection on a forward model finds every solution and how likely each is, and leaves none out as it spreads its
    draws evenly; Gauss-Newton on the same forward model makes them exact. All time of training is the forward model's.

    Args:
        seconds: As in ``Rejection``, and so are the next ones.
        forward_steps: Of each forward network.
        fewest: Distinct settings from which on there are networks.
        seed: Decides the training.
        tried: Rows of the table that is looked up.
        noise: As in ``LocalisedModel``.
    """
    rejection = Rejection(seconds=seconds, forward_steps=forward_steps, fewest=fewest, seed=seed, tried=tried)
    return LocalisedModel.around(rejection, noise=noise)
