"""The Inception-v3 of 2015 (Szegedy et al. 2016) as FID, KID and IS use it; names as in the weight file.

It differs from torchvision's: average pooling does not count padding, the very last block pools by maximum,
1008 classes, input (x - 128) / 128 of pixels 0 ... 255 resized to 299 as TensorFlow 1 did it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

Output = Literal["2048", "logits", "logits_unbiased"]
Step = tuple[str, int, tuple[int, int], int]  # name, width, kernel, stride
Path = tuple[Step | tuple[Step, Step], ...]  # two steps side by side are a fork, joined at the end
Pool = Literal["average", "maximum", "halving"]
SIDE = 299


def _step(name: str, width: int, kernel: int | tuple[int, int], stride: int = 1) -> Step:
    return name, width, (kernel, kernel) if isinstance(kernel, int) else kernel, stride


class Convolution(nn.Module):
    """Convolution without bias, batch norm (eps 0.001), ReLU."""

    def __init__(
        self, channels: int, width: int, kernel: tuple[int, int], stride: int = 1, padding: bool = True
    ) -> None:
        super().__init__()
        margin = (kernel[0] // 2, kernel[1] // 2) if padding and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(channels, width, kernel, stride, margin, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu_()


class Mixed(nn.Module):
    """Paths of convolutions side by side and a pooling path; their outputs are joined along the channels."""

    def __init__(self, channels: int, paths: tuple[Path, ...], pool: Pool, pool_width: int = 0) -> None:
        super().__init__()
        self.paths, self.pool = paths, pool
        self.width = pool_width or channels
        for path in paths:
            width = channels
            for step in path:
                fork = (step,) if isinstance(step[0], str) else step
                for name, out, kernel, stride in fork:  # type: ignore[misc, str-unpack]
                    self.add_module(name, Convolution(width, out, kernel, stride))
                width = sum(one[1] for one in fork)  # type: ignore[misc]
            self.width += width
        if pool_width:
            self.branch_pool = Convolution(channels, pool_width, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([*(self._follow(path, x) for path in self.paths), self._pooled(x)], 1)

    def _follow(self, path: Path, x: Tensor) -> Tensor:
        for step in path:
            fork = (step,) if isinstance(step[0], str) else step
            outputs = [self.get_submodule(one[0])(x) for one in fork]  # type: ignore[arg-type]
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)
        return x

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool == "halving":
            return max_pool2d(x, 3, 2)
        if self.pool == "maximum":
            return self.branch_pool(max_pool2d(x, 3, 1, 1))
        return self.branch_pool(avg_pool2d(x, 3, 1, 1, count_include_pad=False))


def _block_a(channels: int, pool_width: int) -> Mixed:
    double = tuple(_step(f"branch3x3dbl_{i}", w, k) for i, w, k in ((1, 64, 1), (2, 96, 3), (3, 96, 3)))
    five = (_step("branch5x5_1", 48, 1), _step("branch5x5_2", 64, 5))
    return Mixed(channels, ((_step("branch1x1", 64, 1),), five, double), "average", pool_width)


def _block_b(channels: int) -> Mixed:
    double = tuple(
        _step(f"branch3x3dbl_{i}", w, k, s) for i, w, k, s in ((1, 64, 1, 1), (2, 96, 3, 1), (3, 96, 3, 2))
    )
    return Mixed(channels, ((_step("branch3x3", 384, 3, 2),), double), "halving")


def _block_c(channels: int, width: int) -> Mixed:
    row, column = (1, 7), (7, 1)
    seven = (
        _step("branch7x7_1", width, 1),
        _step("branch7x7_2", width, row),
        _step("branch7x7_3", 192, column),
    )
    double = (
        _step("branch7x7dbl_1", width, 1),
        _step("branch7x7dbl_2", width, column),
        _step("branch7x7dbl_3", width, row),
        _step("branch7x7dbl_4", width, column),
        _step("branch7x7dbl_5", 192, row),
    )
    return Mixed(channels, ((_step("branch1x1", 192, 1),), seven, double), "average", 192)


def _block_d(channels: int) -> Mixed:
    three = (_step("branch3x3_1", 192, 1), _step("branch3x3_2", 320, 3, 2))
    seven = (
        _step("branch7x7x3_1", 192, 1),
        _step("branch7x7x3_2", 192, (1, 7)),
        _step("branch7x7x3_3", 192, (7, 1)),
        _step("branch7x7x3_4", 192, 3, 2),
    )
    return Mixed(channels, (three, seven), "halving")


def _block_e(channels: int, pool: Pool) -> Mixed:
    def fork(name: str, letter: str) -> tuple[Step, Step]:
        return _step(f"{name}{letter}a", 384, (1, 3)), _step(f"{name}{letter}b", 384, (3, 1))

    three = (_step("branch3x3_1", 384, 1), fork("branch3x3_", "2"))
    double = (_step("branch3x3dbl_1", 448, 1), _step("branch3x3dbl_2", 384, 3), fork("branch3x3dbl_", "3"))
    return Mixed(channels, ((_step("branch1x1", 320, 1),), three, double), pool, 192)


class InceptionV3(nn.Module):
    """RGB uint8 [N, 3, H, W] -> pool3 [N, 2048], logits [N, 1008], or logits without bias (IS of 2016)."""

    def __init__(self, output: Output = "2048") -> None:
        super().__init__()
        self.result = output
        self.Conv2d_1a_3x3 = Convolution(3, 32, (3, 3), 2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, (3, 3), padding=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, (3, 3))
        self.Conv2d_3b_1x1 = Convolution(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Convolution(80, 192, (3, 3), padding=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _block_a(192, 32), _block_a(256, 64), _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b, self.Mixed_6c = _block_c(768, 128), _block_c(768, 160)
        self.Mixed_6d, self.Mixed_6e = _block_c(768, 160), _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b, self.Mixed_7c = _block_e(1280, "average"), _block_e(2048, "maximum")
        self.fc = nn.Linear(2048, 1008)

    def forward(self, pictures: Tensor) -> Tensor:
        if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
            raise ValueError(
                f"Inception reads uint8 RGB [N, 3, H, W], got {pictures.dtype} {tuple(pictures.shape)}"
            )
        return self.read(pictures)

    def read(self, pictures: Tensor) -> Tensor:
        """The same of RGB [N, 3, H, W] of any number type in 0 ... 255, not rounded."""
        x = (resize_as_tensorflow_1(pictures.to(self.fc.weight.dtype), SIDE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # [N, 64, 147, 147]
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(max_pool2d(x, 3, 2)))  # [N, 192, 71, 71]
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(max_pool2d(x, 3, 2))))  # [N, 288, 35, 35]
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))  # [N, 768, 17, 17]
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # [N, 2048, 8, 8]
        x = x.mean((2, 3))
        if self.result == "2048":
            return x
        return x @ self.fc.weight.T if self.result == "logits_unbiased" else self.fc(x)


def resize_as_tensorflow_1(pictures: Tensor, side: int) -> Tensor:
    """Bilinear without half-pixel offset or antialiasing: float [N, C, H, W] -> [N, C, side, side].

    Output pixel i reads source position i * H / side; beyond the last pixel the last one is repeated.
    """
    for axis in (2, 3):
        size = pictures.shape[axis]
        scale = torch.tensor(
            size / side, dtype=torch.float32, device=pictures.device
        )  # TensorFlow's precision
        at = torch.arange(side, dtype=torch.float32, device=pictures.device) * scale
        low = at.long()
        high = (low + 1).clamp_max(size - 1)
        weight = (at - low).to(pictures.dtype).view([-1 if i == axis else 1 for i in range(4)])
        below, above = pictures.index_select(axis, low), pictures.index_select(axis, high)
        pictures = below + (above - below) * weight
    return pictures
