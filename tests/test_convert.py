"""Others' progressive generators draw the same pictures here: forward passes written out in their own layout."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

import gan_zoo
from gan_zoo import convert
from gan_zoo.nn.equalised import upsampled
from gan_zoo.schema import CheckpointError

WIDTHS, LATENT = [8, 8, 4], 8
State = dict[str, Tensor]


def normed(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def finished(x: Tensor, bias: Tensor) -> Tensor:
    return normed(F.leaky_relu(x + bias.view(1, -1, *[1] * (x.dim() - 2)), 0.2))


# ---- the authors' TensorFlow code ------------------------------------------------------------------------


def of_authors(fused: bool) -> State:
    """Variables as their network creates them: dense [in, out], convolutions [3, 3, in, out], transposed [.., out, in]."""
    torch.manual_seed(0)
    first = "Conv0_up" if fused else "Conv0"
    shapes = {"4x4/Dense/weight": (LATENT, WIDTHS[0] * 16), "4x4/Conv/weight": (3, 3, WIDTHS[0], WIDTHS[0])}
    for level, (below, here) in enumerate(pairwise(WIDTHS)):
        side = f"{8 << level}x{8 << level}"
        shapes[f"{side}/{first}/weight"] = (3, 3, here, below) if fused else (3, 3, below, here)
        shapes[f"{side}/Conv1/weight"] = (3, 3, here, here)
    for level, width in enumerate(WIDTHS):
        shapes[f"ToRGB_lod{len(WIDTHS) - 1 - level}/weight"] = (1, 1, width, 3)
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        size = WIDTHS[0] if "Dense" in name else shape[2] if "Conv0_up" in name else shape[3]
        state[name.replace("weight", "bias")] = torch.randn(size)
    return {**state, "lod": torch.tensor(0.0)}


def drawn_by_authors(state: State, z: Tensor) -> Tensor:
    def conv(x: Tensor, name: str, gain: float = math.sqrt(2)) -> Tensor:
        weight = state[f"{name}/weight"].permute(3, 2, 0, 1)
        return F.conv2d(x, weight * gain / math.sqrt(weight[0].numel()), padding=weight.shape[-1] // 2)

    def up(x: Tensor, side: str) -> Tensor:
        if f"{side}/Conv0/weight" in state:
            return finished(conv(upsampled(x), f"{side}/Conv0"), state[f"{side}/Conv0/bias"])
        weight = state[f"{side}/Conv0_up/weight"]
        weight = weight * math.sqrt(2) / math.sqrt(9 * weight.shape[3])
        wide = F.pad(weight, (0, 0, 0, 0, 1, 1, 1, 1))
        kernel = wide[1:, 1:] + wide[:-1, 1:] + wide[1:, :-1] + wide[:-1, :-1]  # 4x4: four shifted 3x3
        return finished(F.conv_transpose2d(x, kernel.permute(3, 2, 0, 1), stride=2, padding=1), state[f"{side}/Conv0_up/bias"])  # fmt: skip

    x = normed(z) @ state["4x4/Dense/weight"] * math.sqrt(2) / 4 / math.sqrt(LATENT)
    x = finished(x.view(len(z), -1, 4, 4), state["4x4/Dense/bias"])
    x = finished(conv(x, "4x4/Conv"), state["4x4/Conv/bias"])
    for side in ("8x8", "16x16"):
        x = up(x, side)
        x = finished(conv(x, f"{side}/Conv1"), state[f"{side}/Conv1/bias"])
    return conv(x, "ToRGB_lod0", gain=1.0) + state["ToRGB_lod0/bias"].view(1, -1, 1, 1)


# ---- pytorch_GAN_zoo -------------------------------------------------------------------------------------


def of_pytorch_gan_zoo(inner: str) -> State:
    """State of its GNet, whose layers wrap a torch layer as `module` in some versions."""
    torch.manual_seed(1)
    shapes = {"formatLayer": (WIDTHS[0] * 16, LATENT), "groupScale0.0": (WIDTHS[0], WIDTHS[0], 3, 3)}
    for level, (below, here) in enumerate(pairwise(WIDTHS)):
        shapes |= {
            f"scaleLayers.{level}.0": (here, below, 3, 3),
            f"scaleLayers.{level}.1": (here, here, 3, 3),
        }
    shapes |= {f"toRGBLayers.{level}": (3, width, 1, 1) for level, width in enumerate(WIDTHS)}
    weights = {f"{name}.{inner}weight": torch.randn(shape) for name, shape in shapes.items()}
    return weights | {f"{name}.{inner}bias": torch.randn(shape[0]) for name, shape in shapes.items()}


def drawn_by_pytorch_gan_zoo(state: State, z: Tensor) -> Tensor:
    state = {name.replace("module.", ""): value for name, value in state.items()}

    def he(name: str) -> tuple[Tensor, Tensor]:
        weight = state[f"{name}.weight"]
        scale = math.sqrt(2 / weight[0].numel())  # multiplies the layer's output, its bias too
        return weight * scale, state[f"{name}.bias"] * scale

    def conv(x: Tensor, name: str) -> Tensor:
        return normed(F.leaky_relu(F.conv2d(x, *he(name), padding=1), 0.2))

    x = normed(F.leaky_relu(F.linear(normed(z), *he("formatLayer")), 0.2).view(len(z), -1, 4, 4))
    x = conv(x, "groupScale0.0")
    for level in range(len(WIDTHS) - 1):
        x = conv(conv(upsampled(x), f"scaleLayers.{level}.0"), f"scaleLayers.{level}.1")
    return F.conv2d(x, *he(f"toRGBLayers.{len(WIDTHS) - 1}"))


def npz(state: State, path: Path) -> Path:
    np.savez(path.with_suffix(".npz"), **{name: value.numpy() for name, value in state.items()})
    return path.with_suffix(".npz")


def tensors(state: State, path: Path) -> Path:
    save_file({name: value.contiguous() for name, value in state.items()}, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def archive(state: State, path: Path) -> Path:
    torch.save({"avgG": state}, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


@pytest.mark.parametrize(
    ("layout", "state", "drawn", "write"),
    [
        ("authors", of_authors(True), drawn_by_authors, npz),
        ("authors", of_authors(False), drawn_by_authors, tensors),
        ("pytorch_gan_zoo", of_pytorch_gan_zoo(""), drawn_by_pytorch_gan_zoo, archive),
        ("pytorch_gan_zoo", of_pytorch_gan_zoo("module."), drawn_by_pytorch_gan_zoo, tensors),
    ],
)
def test_converted_generators_draw_the_same_pictures(
    layout: convert.Layout,
    state: State,
    drawn: Callable[..., Tensor],
    write: Callable[..., Path],
    tmp_path: Path,
) -> None:
    convert.main(
        weights=str(write(state, tmp_path / "theirs")), layout=layout, output=str(tmp_path / "export")
    )
    gan = gan_zoo.load(tmp_path / "export")
    z = torch.randn(5, LATENT)
    torch.testing.assert_close(gan.sample(5, latent=z), drawn(state, z), atol=1e-4, rtol=1e-4)
    assert gan.sample(2).shape == (2, 3, 16, 16)


class Canary:
    def __reduce__(self) -> tuple[object, ...]:
        return Path("canary").touch, ()


def test_files_that_hold_more_than_tensors_are_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"config": Canary(), "avgG": of_pytorch_gan_zoo("")}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match=r"holds more than tensors.*torch\.save"):
        convert.main(
            weights=str(tmp_path / "evil.pt"), layout="pytorch_gan_zoo", output=str(tmp_path / "out")
        )
    np.savez(tmp_path / "evil.npz", lod=np.array([Canary()], dtype=object))
    with pytest.raises(CheckpointError, match=r"holds more than tensors.*np\.savez"):
        convert.main(weights=str(tmp_path / "evil.npz"), layout="authors", output=str(tmp_path / "out"))
    assert not Path("canary").exists() and not (tmp_path / "out").exists()


def test_another_layout_or_no_file_is_told(tmp_path: Path) -> None:
    theirs = npz(of_authors(True), tmp_path / "theirs")
    with pytest.raises(
        CheckpointError, match=r"no generator in the layout pytorch_gan_zoo, 'formatLayer\.weight'"
    ):
        convert.main(weights=str(theirs), layout="pytorch_gan_zoo", output=str(tmp_path / "out"))
    with pytest.raises(CheckpointError, match="not found"):
        convert.main(weights="nothing.npz", layout="authors", output=str(tmp_path / "out"))
