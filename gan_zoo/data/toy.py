"""Data whose truth is known exactly: points in the plane with countable modes, and pictures of triangles."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from gan_zoo.data.image_data import ImageData, Loaded
from gan_zoo.data.pyramid import MemoryPictures
from gan_zoo.data.stream import DataModule, Key
from gan_zoo.schema import ConfigError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
TRAIN, HELD_OUT = 0, 1  # which of two independent draws


class Points(DataModule):
    """Base of the sets of points: modality `points`, resolution 1, channels 2 (x and y).

    size: items of an epoch. fresh: true draws the points anew each epoch, so that the set is infinite and an
    item is a function of (seed, epoch, index); false draws them once, so that an item is a function of (seed,
    index). An item's mode is the same in every epoch. held_out: items of a second, independent draw.
    """

    def __init__(
        self,
        *,
        size: PositiveInt,
        held_out: PositiveInt,
        fresh: bool,
        resolution: int,
        channels: int,
        modality: str,
        **stream: Any,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, modality=modality, **stream)
        if (resolution, channels, modality) != (1, 2, "points"):
            raise ConfigError(
                f"data={self.name} is points in the plane: data.resolution must be 1, data.channels 2 and "
                f"data.modality points, got {resolution}, {channels} and {modality}"
            )
        if self.flip:
            raise ConfigError(f"data={self.name} holds no pictures to mirror; set data.flip=false")
        self.size, self.held_out, self.fresh = size, held_out, fresh

    @abstractmethod
    def draw(self, count: int, labels: Labels | None, random: np.random.Generator) -> Floats:
        """`count` points, [count, 2], of the modes given by labels where there are any."""

    def labels(self, count: int, part: int) -> Labels | None:
        """Mode of each item, int64 [count]; None where modes cannot be counted."""
        return None

    def train_set(self) -> PointSet:
        return PointSet(self, self.size, TRAIN, fresh=self.fresh)

    def held_out_set(self) -> PointSet:
        return PointSet(self, self.held_out, HELD_OUT, fresh=False)

    def conditions(self) -> Tensor | None:
        return self.train_set().labels


class PointSet:
    """The points of one part as a data set of whole batches."""

    def __init__(self, source: Points, size: int, part: int, *, fresh: bool) -> None:
        self.source, self.size, self.part, self.fresh = source, size, part, fresh
        modes = source.labels(size, part)
        self.labels = torch.from_numpy(modes) if modes is not None and source.classes else None
        self._modes = modes
        self._epoch, self._points = -1, torch.empty(0, 2)

    def __len__(self) -> int:
        return self.size

    def points(self, epoch: int) -> Tensor:
        """All points of an epoch, float32 [size, 2]."""
        epoch = epoch if self.fresh else 0
        if epoch != self._epoch:
            random = np.random.default_rng((self.source.seed, self.part, 1, epoch))
            drawn = self.source.draw(self.size, self._modes, random)
            self._epoch, self._points = epoch, torch.from_numpy(drawn).float()
        return self._points

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        """real: float32 [N, 2]; condition: int64 [N], the mode, where modes can be counted. Resolution is
        ignored."""
        index, epoch = torch.tensor([key[:2] for key in keys], dtype=torch.int64).reshape(-1, 2).unbind(1)
        real = torch.empty(len(keys), 2)
        for number in epoch.unique().tolist():  # two at most, where a batch crosses the end of an epoch
            chosen = epoch == number
            real[chosen] = self.points(number)[index[chosen]]
        return {"real": real} if self.labels is None else {"real": real, "condition": self.labels[index]}


class Mixture(Points):
    """Equal round Gaussians. `std`: of each, in the unit of the points; `modes()`: their centres.

    balanced: every mode has the same number of items (or one more); else modes are drawn uniformly. Centres
    and std are given before the division by `divisor`, as in the papers' code. classes: the number of modes,
    or 0 for no labels.
    """

    def __init__(self, *, std: PositiveFloat, divisor: PositiveFloat, balanced: bool, **points: Any) -> None:
        super().__init__(**points)
        self.std, self.divisor, self.balanced = std / divisor, divisor, balanced
        if self.classes not in (0, len(self.centres())):
            raise ConfigError(
                f"data={self.name} has {len(self.centres())} modes, data.classes is {self.classes}; "
                f"set it to {len(self.centres())}, or to 0 to leave the labels out"
            )

    @abstractmethod
    def centres(self) -> Floats:
        """Centres before the division, [M, 2]."""

    def modes(self) -> Tensor:
        """The centres, float32 [M, 2]; row i is the mode that condition i names."""
        return torch.from_numpy(self.centres() / self.divisor).float()

    def labels(self, count: int, part: int) -> Labels:
        modes = len(self.centres())
        if self.balanced:
            return np.arange(count, dtype=np.int64) % modes
        return np.random.default_rng((self.seed, part, 0)).integers(modes, size=count)

    def draw(self, count: int, labels: Labels | None, random: np.random.Generator) -> Floats:
        return self.centres()[labels] / self.divisor + self.std * random.standard_normal((count, 2))


class Ring(Mixture):
    """`count` modes on a circle around 0, the first at (radius, 0), then counter-clockwise."""

    def __init__(self, *, count: PositiveInt, radius: PositiveFloat, **mixture: Any) -> None:
        self.count, self.radius = count, radius
        super().__init__(**mixture)

    def centres(self) -> Floats:
        angles = 2 * math.pi * np.arange(self.count) / self.count
        return self.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


class Grid(Mixture):
    """`side` x `side` modes, `step` apart, centred on 0; mode number = side * column + row, from the lower
    left."""

    def __init__(self, *, side: PositiveInt, step: PositiveFloat, **mixture: Any) -> None:
        self.side, self.step = side, step
        super().__init__(**mixture)

    def centres(self) -> Floats:
        ticks = self.step * (np.arange(self.side) - (self.side - 1) / 2)
        return np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)


class SwissRoll(Points):
    """A spiral: t (cos t, sin t) with t uniform in [3 pi / 2, 9 pi / 2], plus Gaussian noise, all over
    `divisor`.

    It is columns 0 and 2 of scikit-learn's make_swiss_roll. It has no modes; `curve` is the noiseless line.
    """

    def __init__(self, *, noise: PositiveFloat, divisor: PositiveFloat, **points: Any) -> None:
        super().__init__(**points)
        self.noise, self.divisor = noise, divisor
        if self.classes:
            raise ConfigError(
                f"data={self.name} has no modes to label; set data.classes=0, got {self.classes}"
            )

    @property
    def std(self) -> float:
        """Standard deviation of the noise in the unit of the points."""
        return self.noise / self.divisor

    def curve(self, share: Tensor) -> Tensor:
        """Points of the noiseless spiral, [N, 2]; share [N] in [0, 1] runs from the inner to the outer
        end."""
        angle = 1.5 * math.pi * (1 + 2 * share)
        return angle[:, None] / self.divisor * torch.stack([angle.cos(), angle.sin()], dim=1)

    def draw(self, count: int, labels: Labels | None, random: np.random.Generator) -> Floats:
        line = self.curve(torch.from_numpy(random.random(count))).numpy()
        return line + self.std * random.standard_normal((count, 2))


def triangle_vertices(angles: Tensor, rotation: Tensor) -> Tensor:
    """Corners on a circle of radius 3/8 turned by `rotation`, then moved so that their mean is the picture's
    centre.

    angles: [N, 3], rotation: [N], in radians. Returns [N, 3, 2]: (x, y) in picture sides, x right, y down,
    the picture is [0, 1] x [0, 1]. Differentiable.
    """
    turned = angles - rotation[:, None]
    corners = torch.stack([turned.sin(), turned.cos()], dim=2)  # an angle of 0 points down the rows
    return 0.5 + 0.375 * (corners - corners.mean(1, keepdim=True))


def _spans(vertices: Tensor, heights: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right end of convex polygons [N, V, 2] at the heights [K]: two [N, K]; inf and -inf where
    outside."""
    start, end = vertices.unsqueeze(2), vertices.roll(-1, 1).unsqueeze(2)  # [N, V, 1, 2]
    rise = end[..., 1] - start[..., 1]
    share = (heights - start[..., 1]) / torch.where(rise == 0, torch.ones_like(rise), rise)
    hit = (share >= 0) & (share < 1) & (rise != 0)
    x = start[..., 0] + share * (end[..., 0] - start[..., 0])
    return x.masked_fill(~hit, math.inf).amin(1), x.masked_fill(~hit, -math.inf).amax(1)


def coverage(vertices: Tensor, resolution: int, subpixels: int = 8, *, smooth: bool = False) -> Tensor:
    """Share of each pixel that lies in the convex polygon: [N, V, 2] in picture sides -> [N, resolution,
    resolution].

    Each pixel is cut into subpixels x subpixels, and a sub-pixel counts when its centre is inside. smooth:
    sub-pixel rows are measured exactly instead of counted, so that the result is differentiable in the
    vertices.
    """
    rows = resolution * subpixels
    heights = (torch.arange(rows, dtype=vertices.dtype, device=vertices.device) + 0.5) / rows
    left, right = _spans(vertices, heights)
    if not smooth:
        left, right = ((ends.clamp(-1, 2) * rows - 0.5).ceil() / rows for ends in (left, right))
    edges = torch.arange(resolution + 1, dtype=vertices.dtype, device=vertices.device) / resolution
    inside = torch.minimum(right[..., None], edges[1:]) - torch.maximum(left[..., None], edges[:-1])
    return inside.clamp_min(0).unflatten(1, (resolution, subpixels)).mean(2) * resolution


class Triangles(ImageData):
    """Black triangles on white with a distance to their manifold (Lucic et al. 2018, "Are GANs Created
    Equal?").

    Corner i lies at the angle 120 i + 10 + U(0, 110) degrees, so that neighbours are at least 10 degrees
    apart; the authors' parameter is called a least angle of 20. rotation: uniform in [0, 2 pi) radians.
    faithful_rotation_bug: the authors take the radians of an angle that is already in radians, which leaves
    [0, 6.3 degrees); true does the same. drawing_seed: which triangles there are; held-out ones follow the
    training ones.
    """

    def __init__(
        self,
        *,
        size: PositiveInt,
        held_out: PositiveInt,
        drawing_seed: NonNegativeInt,
        faithful_rotation_bug: bool,
        **stream: Any,
    ) -> None:
        super().__init__(**stream)
        if self.channels != 1:
            raise ConfigError(f"data={self.name} is grey: data.channels must be 1, got {self.channels}")
        self.labelled(np.empty(0, np.int64), 0)
        random = np.random.default_rng(drawing_seed)
        steps = 110 * random.random((size + held_out, 3))
        turn = 2 * math.pi * random.random(size + held_out)
        self.size, self.held_out = size, held_out
        self.angles = torch.from_numpy(
            np.radians(120 * np.arange(3) + 10 + steps)
        )  # float64 [size + held_out, 3]
        self.rotation = torch.from_numpy(np.radians(turn) if faithful_rotation_bug else turn)

    @property
    def vertices(self) -> Tensor:
        """Corners of every item, float64 [size + held_out, 3, 2], see triangle_vertices."""
        return triangle_vertices(self.angles, self.rotation)

    def draw(self, vertices: Tensor) -> Tensor:
        """uint8 [N, 1, resolution, resolution]: 255 is white, the background."""
        white = torch.cat([1 - coverage(part, self.resolution) for part in vertices.float().split(128)])
        return (255 * white).round().to(torch.uint8).unsqueeze(1)

    def load(self) -> Loaded:
        rows = np.arange(self.size + self.held_out)
        pictures = MemoryPictures(self.draw(self.vertices), self.resolution)
        return Loaded(pictures, rows[: self.size], rows[self.size :], None)
