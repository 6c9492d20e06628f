"""Turns others' progressive networks into an export: python -m gan_zoo.convert weights=FILE layout=LAYOUT output=DIR."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gan_zoo.command import command
from gan_zoo.schema import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

Layout = Literal["authors", "pytorch_gan_zoo"]
State = dict[str, "Tensor"]
DUMP = (
    "np.savez(FILE, **{name: value.eval() for name, value in Gs.vars.items()}), after unpickling G, D and Gs in the "
    "authors' own TensorFlow code"
)
STRIP = "torch.save({'avgG': content['avgG']}, FILE), after torch.load in pytorch_GAN_zoo's own checkout"


@command
def main(*, weights: str, layout: Layout, output: str) -> Path:
    """Writes an export that gan_zoo.load samples from, of a generator trained by progressive growing elsewhere.

    weights: the file. Pickles can run code and are not opened: bring the authors' network as .npz or .safetensors, its
        variables by name, and pytorch_GAN_zoo's as .safetensors or as a .pt of tensors alone.
    layout: authors (the TensorFlow code of Karras et al.), or pytorch_gan_zoo (of facebookresearch).
    output: folder to write.
    """
    from gan_zoo import loading
    from gan_zoo.export import card

    state, unit_bias = {"authors": (_of_authors, False), "pytorch_gan_zoo": (_of_pytorch_gan_zoo, True)}[
        layout
    ]
    source = Path(weights)
    try:
        generator = state(read(source))
    except (KeyError, IndexError) as missing:
        raise CheckpointError(
            f"{source}: no generator in the layout {layout}, {missing} is missing"
        ) from missing
    gan, config = _model_of(generator, unit_bias)
    for network in (gan.generator, gan.ema_generator):
        network.load_state_dict(generator)
    folder, description = Path(output), loading.described(config)
    loading.export(gan, folder, description, card(description, 0, {}))
    print(folder)
    return folder


def read(path: Path) -> State:
    """Tensors by name, of a .npz, .safetensors or .pt file; nothing in it is executed."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"{path}: not found; weights= takes a .npz, .safetensors or .pt file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as content:
                return {name: torch.from_numpy(content[name]) for name in content.files}
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as failure:  # what a damaged or pickled file raises is anything
        raise CheckpointError(
            f"{path}: holds more than tensors, or is damaged ({str(failure).splitlines()[0]}). Write the tensors alone: "
            f"{DUMP}; or {STRIP}"
        ) from failure
    return dict(next((content[name] for name in ("avgG", "netG") if name in content), content))


# ---- the authors' TensorFlow variables ---------------------------------------------------------------------


def _of_authors(found: State) -> State:
    """Dense is [in, out], convolutions [height, width, in, out]; Conv0_up is a transposed one, [.., out, in], so turned."""
    found = {
        name.removesuffix(":0").removeprefix("Gs/").removeprefix("G/"): value for name, value in found.items()
    }
    sides = sorted(
        int(match[1]) for name in found if (match := re.fullmatch(r"(\d+)x\1/Conv1?/weight", name))
    )

    def straight(name: str) -> Tensor:
        return found[name].permute(3, 2, 0, 1)

    channels = len(found["4x4/Dense/bias"])
    state = {
        "stem.dense.weight": found["4x4/Dense/weight"].T,
        "stem.bias": found["4x4/Dense/bias"].view(channels, 1, 1),
        "stem.conv.0.weight": straight("4x4/Conv/weight"),
        "stem.conv.0.bias": found["4x4/Conv/bias"],
    }
    for level, side in enumerate(sides[1:]):
        here = f"{side}x{side}"
        turned = f"{here}/Conv0_up/weight" in found
        first = f"{here}/Conv0_up" if turned else f"{here}/Conv0"
        weight = found[f"{first}/weight"]
        state |= {
            f"blocks.{level}.0.0.weight": weight.permute(2, 3, 0, 1).flip(2, 3)
            if turned
            else straight(f"{first}/weight"),
            f"blocks.{level}.0.0.bias": found[f"{first}/bias"],
            f"blocks.{level}.1.0.weight": straight(f"{here}/Conv1/weight"),
            f"blocks.{level}.1.0.bias": found[f"{here}/Conv1/bias"],
        }
    for level in range(len(sides)):
        rgb = f"ToRGB_lod{len(sides) - 1 - level}"
        state |= {
            f"to_rgb.{level}.weight": straight(f"{rgb}/weight"),
            f"to_rgb.{level}.bias": found[f"{rgb}/bias"],
        }
    return _plain(state)


# ---- pytorch_GAN_zoo ---------------------------------------------------------------------------------------


def _of_pytorch_gan_zoo(found: State) -> State:
    """All its gains are sqrt 2, where the authors have sqrt 2 / 4 in the first layer and 1 in those to colours.

    And they multiply what a layer returns, its bias included.
    """
    found = {name.removeprefix("module.").replace(".module.", "."): value for name, value in found.items()}
    levels = len({name for name in found if re.fullmatch(r"toRGBLayers\.\d+\.weight", name)})
    dense = _layer("stem.dense", found, "formatLayer", 4.0)
    state = {
        "stem.dense.weight": dense["stem.dense.weight"],
        "stem.bias": dense["stem.dense.bias"].view(-1, 4, 4),
        **_layer("stem.conv.0", found, "groupScale0.0"),
    }
    for level in range(levels - 1):
        for number in (0, 1):
            state |= _layer(f"blocks.{level}.{number}.0", found, f"scaleLayers.{level}.{number}")
    for level in range(levels):
        state |= _layer(f"to_rgb.{level}", found, f"toRGBLayers.{level}", 2**0.5)
    return _plain(state)


def _layer(ours: str, found: State, theirs: str, times: float = 1.0) -> State:
    weight = found[f"{theirs}.weight"]
    scale = (2 / weight[0].numel()) ** 0.5
    return {f"{ours}.weight": weight * times, f"{ours}.bias": found[f"{theirs}.bias"] * scale}


def _plain(state: State) -> State:
    return {name: value.float().contiguous() for name, value in state.items()}


# ---- the model they fit ------------------------------------------------------------------------------------


def _model_of(state: State, unit_bias: bool) -> tuple[Any, dict[str, Any]]:
    """A model of the generator's size, grown up from its first sample, and its config."""
    from gan_zoo import config as configs
    from gan_zoo import loading

    widths = [len(state["stem.conv.0.bias"]), *_numbered(state, lambda n: f"blocks.{n}.1.0.bias")]
    resolution, latent = 4 * 2 ** (len(widths) - 1), state["stem.dense.weight"].shape[1]
    most = max(widths)
    base = widths[-1] << len(widths)  # where even the last is as wide as allowed, this leaves them all so
    sizes = [f"model.{player}.{key}" for player in ("generator", "discriminator")
             for key in (f"base={base}", f"max_channels={most}")]  # fmt: skip
    config = configs.validate(
        configs.compose(
            [
                "model=pggan",
                "data=folder",
                f"data.resolution={resolution}",
                f"data.channels={len(state['to_rgb.0.bias'])}",
                *sizes,
                f"model.latent.size={latent}",
                f"model.generator.unit_bias={unit_bias}",
                f"model.schedule.initial_resolution={resolution}",
            ]
        )
    )
    gan = loading.build(config)
    own = gan.generator.state_dict()
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    if wrong:
        raise CheckpointError(
            f"this generator, of widths {widths}, is not one of the paper's: {', '.join(wrong)} differ in shape"
        )
    return gan, config


def _numbered(state: State, name: Callable[[int], str]) -> Iterator[int]:
    """Lengths of the tensors of a numbered name, from 0 on."""
    number = 0
    while name(number) in state:
        yield len(state[name(number)])
        number += 1


if __name__ == "__main__":
    main()
