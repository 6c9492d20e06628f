"""The distance of two pictures in a network that knows natural ones (Johnson et al. 2016), as pix2pixHD weighs it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gan_zoo.schema import ConfigError

URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
SHA256 = "dcbb9e9d"  # its first digits, as torchvision's file names have them
TAPS = (2, 7, 12, 21, 30)  # where in torchvision's `features` relu1_1, relu2_1, ... relu5_1 are complete
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


class VGGDistance(nn.Module):
    """Pictures [N, 3, H, W] in [-1, 1] -> sum of weighted mean absolute differences of relu1_1 ... relu5_1 of VGG-19.

    The authors feed pictures in [-1, 1], without ImageNet's mean and deviation. Gradients reach the first argument alone.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import vgg19

        layers = list(vgg19(weights=None).features[: TAPS[-1]])
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        starts = (0, *TAPS[:-1])
        self.stages = nn.ModuleList(nn.Sequential(*layers[a:b]) for a, b in zip(starts, TAPS, strict=True))
        self.requires_grad_(False).eval()

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        total = torch.zeros((), device=fake.device)
        for weight, stage in zip(WEIGHTS, self.stages, strict=True):
            fake = stage(fake)
            with torch.no_grad():
                real = stage(real)
            total = total + weight * (fake.float() - real.float()).abs().mean()
        return total

    def load(self, path: Path) -> VGGDistance:
        """Torchvision's weights of the whole network, of which the first layers are taken."""
        from safetensors.torch import load_file

        try:
            state = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, weights_only=True, map_location="cpu")
            )
        except Exception as failure:
            raise ConfigError(  # torch's own words advise to load it unsafely
                f"model.vgg: {path} cannot be read as a file of weights ({type(failure).__name__}); get it from {URL}"
            ) from failure
        own, position = {}, 0
        for number, (start, end) in enumerate(zip((0, *TAPS[:-1]), TAPS, strict=True)):
            for position in range(start, end):
                for name in ("weight", "bias"):
                    if (value := state.get(f"features.{position}.{name}")) is not None:
                        own[f"stages.{number}.{position - start}.{name}"] = value
        try:
            self.load_state_dict(own)
        except RuntimeError as failure:
            raise ConfigError(
                f"model.vgg: {path} does not hold torchvision's VGG-19 (features.0.weight ...): {str(failure).splitlines()[0]}; "
                f"get it from {URL}"
            ) from failure
        return self


def vgg_distance(source: str) -> VGGDistance:
    """`source`: a file of torchvision's VGG-19 weights, or `download`, which fetches it to torch's cache once."""
    path = Path(source).expanduser()
    if source == "download":
        path = Path(torch.hub.get_dir()) / "checkpoints" / URL.rpartition("/")[2]
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(URL, str(path), hash_prefix=SHA256)
            except (OSError, RuntimeError) as failure:
                raise ConfigError(
                    f"model.vgg=download: {URL} could not be fetched ({failure}); get it by other means and give its path, or set "
                    "model.vgg=null model.weights.generator.perceptual=0.0"
                ) from failure
    if not path.is_file():
        raise ConfigError(
            f"model.vgg: {path} is not there; it wants torchvision's VGG-19 weights ({URL}), `download`, or null with "
            "model.weights.generator.perceptual=0.0"
        )
    return VGGDistance().load(path)
