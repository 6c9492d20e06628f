"""Differentiable augmentation of all that D sees (Zhao et al. 2020): D of a small data set learns pictures by heart otherwise.

Real and fake pictures pass the same random changes, so that G is not taught them; gradients reach G through them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_zoo import chance
from gan_zoo.schema import ConfigError


def translated(x: Tensor, amount: float) -> Tensor:
    """Pictures [N, C, H, W] shifted by up to `amount` of their side each way, by whole pixels; their edges fill in."""
    n, _, height, width = x.shape
    reach_y, reach_x = round(height * amount), round(width * amount)
    draws = chance.uniform_rows([n, 2], x.device)
    top = (draws[:, 0] * (2 * reach_y + 1)).long()
    left = (draws[:, 1] * (2 * reach_x + 1)).long()
    padded = F.pad(x, (reach_x, reach_x, reach_y, reach_y), mode="replicate")
    rows = top.view(n, 1, 1) + torch.arange(height, device=x.device).view(1, height, 1)
    columns = left.view(n, 1, 1) + torch.arange(width, device=x.device).view(1, 1, width)
    items = torch.arange(n, device=x.device).view(n, 1, 1)
    return padded.permute(0, 2, 3, 1)[items, rows, columns].permute(0, 3, 1, 2)


def with_hole(x: Tensor, amount: float) -> Tensor:
    """A square of `amount` of the side is mid-grey (0), anywhere in the picture."""
    n, _, height, width = x.shape
    draws = chance.uniform_rows([n, 2], x.device)
    middle_y, middle_x = (draws[:, 0] * height).view(n, 1, 1), (draws[:, 1] * width).view(n, 1, 1)
    y = torch.arange(height, device=x.device).view(1, height, 1) + 0.5
    across = torch.arange(width, device=x.device).view(1, 1, width) + 0.5
    inside = ((y - middle_y).abs() < amount * height / 2) & ((across - middle_x).abs() < amount * width / 2)
    return x * (~inside).unsqueeze(1)


def recoloured(x: Tensor, amount: float) -> Tensor:
    """Brightness shifted by up to `amount`, saturation scaled by 1 -+ 2 amount, contrast by 1 -+ amount."""
    draws = chance.uniform_rows([len(x), 3], x.device).view(-1, 3, 1, 1, 1) * 2 - 1
    x = x + amount * draws[:, 0]
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + 2 * amount * draws[:, 1])
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (1 + amount * draws[:, 2])


_KINDS = {"colour": recoloured, "translation": translated, "cutout": with_hole}


class Augmentation:
    """The named changes, in the order colour, translation, cutout; amounts of the paper: 0.5, 0.125, 0.5."""

    def __init__(self, colour: float = 0.0, translation: float = 0.0, cutout: float = 0.0) -> None:
        self.amounts = {"colour": colour, "translation": translation, "cutout": cutout}
        for name, amount in self.amounts.items():
            if not 0 <= amount < 1:
                raise ConfigError(
                    f"model.augment.{name} must be in [0, 1), got {amount}; the paper's are 0.5, 0.125 and 0.5"
                )

    def __call__(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            raise ConfigError(
                f"model.augment is for pictures [N, C, H, W], got {list(x.shape)}; set it to null for these data"
            )
        for name, change in _KINDS.items():
            if self.amounts[name] > 0:
                x = change(x, self.amounts[name])
        return x
