"""Conditional variational autoencoder."""

from dataclasses import dataclass

import numpy as np
import torch
import zuko
from torch import Tensor, nn

from strategies.models.deep.base import Deep, flat, tensor, unfolded
from strategies.models.deep.with_forward import Array

WARM = 0.3
"""Part of the training in which the weight of the prior rises to 1; else the latent numbers are never used."""


class Autoencoder(nn.Module):
    """Settings and readings to the parts of a latent normal distribution, and latent numbers and readings back."""

    def __init__(self, d: int, q: int, latent: int, cells: int) -> None:
        super().__init__()
        self.encoder = zuko.nn.MLP(d + q, 2 * latent, (cells,) * 3, nn.SiLU)
        self.decoder = zuko.nn.MLP(latent + q, d, (cells,) * 3, nn.SiLU)
        self.log_noise = nn.Parameter(torch.full((d,), -1.0))

    def forward(self, places: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction and prior part of the negative evidence lower bound, ``(b,)`` each."""
        mean, log_width = self.encoder(torch.cat((places, told), dim=1)).chunk(2, dim=1)
        latent = mean + log_width.exp() * torch.randn_like(mean)
        off = (self.decoder(torch.cat((latent, told), dim=1)) - places) * torch.exp(-self.log_noise)
        prior = 0.5 * (mean**2 + torch.exp(2 * log_width) - 1) - log_width
        return (0.5 * off**2 + self.log_noise).sum(dim=1), prior.sum(dim=1)


@dataclass(eq=False)
class ConditionalVae(Deep):
    """A decoder of latent noise and readings into settings, learned with an encoder by the evidence lower bound.

    Args:
        latent: Numbers that an answer is decoded from; by default two more than there are knobs.
        cells: Of each of three hidden layers.

    References:
        Sohn, Lee, Yan (2015), Learning structured output representation using deep conditional generative
        models; zuko, for the layers
    """

    latent: int | None = None
    cells: int = 128

    def _network(self, d: int, q: int) -> nn.Module:
        self.latent_ = self.latent or d + 2
        return Autoencoder(d, q, self.latent_, self.cells)

    def _loss(self, places: Tensor, told: Tensor, share: float) -> Tensor:
        rebuilt, prior = self.network_(places, told)
        loss: Tensor = (rebuilt + min(share / WARM, 1.0) * prior).mean()
        return loss

    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        noise = tensor(rng.standard_normal((told.shape[0] * told.shape[1], self.latent_ + self.d_)))
        latent, rest = noise[:, : self.latent_], noise[:, self.latent_ :]
        network = self.network_
        assert isinstance(network, Autoencoder)
        mean = network.decoder(torch.cat((latent, flat(told)), dim=1))
        return unfolded(mean + network.log_noise.exp() * rest, told)
