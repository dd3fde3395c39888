"""BoTorch with a composite objective: a Gaussian process a channel, and what is wanted made of these."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Settings, Space, Window
from strategies.evaluation.peers.library_guard import contained, must_be_installed, spread
from strategies.evaluation.peers.protocol import Aim, Seen


@dataclass(frozen=True)
class BoTorch:
    """Noisy expected improvement of the squared distance in tolerances, through the processes of the channels.

    A maximum is improved as it is, with sides beside it as constraints; of sides alone the one that is least inside.
    The noise of a reading is told where the instrument states it, and else learned.

    Args:
        n: Sobol points before the first fit.
        draws: Of the posterior, for the expectation.

    References:
        Astudillo, Frazier (2019), arXiv:1906.01537, for composite objectives;
        Ament et al. (2023), arXiv:2310.20708, for the acquisition; Balandat et al. (2020), arXiv:1910.06403
    """

    n: int = 5
    draws: int = 128

    def __post_init__(self) -> None:
        must_be_installed("botorch")
        if self.n < 2 or self.draws < 1:
            raise InvalidInput(f"needs n >= 2 and draws >= 1, got {self.n} and {self.draws}")

    def lacks(self, space: Space, window: Window) -> str:
        other = space.constraints or any(knob.whole or knob.values is not None for knob in space.knobs)
        return "knobs that take any value" if other else ""

    def design(self, d: int, rng: np.random.Generator) -> Settings:
        return spread(self.n, d, rng)

    def propose(self, seen: Seen, rng: np.random.Generator) -> Settings:
        with contained(rng) as seed:
            import torch
            from botorch.acquisition.logei import qLogNoisyExpectedImprovement
            from botorch.acquisition.objective import GenericMCObjective
            from botorch.fit import fit_gpytorch_mll
            from botorch.models import SingleTaskGP
            from botorch.models.transforms import Normalize, Standardize
            from botorch.optim.optimize import optimize_acqf
            from botorch.sampling.normal import SobolQMCNormalSampler
            from gpytorch.mlls import ExactMarginalLogLikelihood

            matched = torch.tensor([aim is Aim.MATCH for aim in seen.aims])
            most = torch.tensor([aim is Aim.MOST for aim in seen.aims])

            def worth(draws: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:
                if bool((matched | most).any()):
                    return draws[..., most].sum(dim=-1) - (draws[..., matched] ** 2).sum(dim=-1)
                return draws.min(dim=-1).values

            sides = [column for column, aim in enumerate(seen.aims) if aim is Aim.SIDE]
            d, c = seen.settings.shape[1], len(seen.window)
            settings = torch.tensor(seen.settings, dtype=torch.double)
            off = torch.tensor(seen.scores, dtype=torch.double)
            noise = torch.tensor((seen.noise / seen.scale) ** 2, dtype=torch.double)
            model = SingleTaskGP(
                settings,
                off,
                train_Yvar=noise if bool(torch.isfinite(noise).all()) else None,
                input_transform=Normalize(d),
                outcome_transform=Standardize(c),
            )
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            acquisition = qLogNoisyExpectedImprovement(
                model,
                settings,
                SobolQMCNormalSampler(torch.Size([self.draws]), seed=seed),
                GenericMCObjective(worth),
                constraints=[partial(_beyond, column) for column in sides] or None,
                prune_baseline=True,
            )
            bounds = torch.tensor([[0.0] * d, [1.0] * d], dtype=torch.double)
            found, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=8, raw_samples=256)
            return np.asarray(found[0].numpy())


def _beyond(column: int, draws: Any) -> Any:
    """By how much draws ``(..., c)`` of a channel are on the wrong side."""
    return -draws[..., column]
