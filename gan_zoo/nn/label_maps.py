"""What a picture is made from: pictures and label maps as float maps, and what instances add to labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_zoo.schema import ConfigError


def refuse_two_kinds(input_channels: int, classes: int) -> None:
    """ConfigError unless a model is given pictures of so many channels, or label maps of so many classes."""
    if bool(input_channels) == bool(classes):
        raise ConfigError(
            f"this model is given pictures or label maps; data.input_channels={input_channels} and data.classes={classes} "
            "came, one of them must be 0; take data=streets or data=edges"
        )


def as_maps(condition: Tensor, classes: int) -> Tensor:
    """uint8 pictures [N, C, H, W] -> floats in [-1, 1]; class ids [N, H, W] -> one-hot float [N, classes, H, W].

    Floats pass as they are: they have been here before.
    """
    if condition.is_floating_point():
        return condition
    if condition.dim() == 4:
        return condition.float().div_(127.5).sub_(1)
    if condition.dim() != 3 or not classes:
        wanted = f"class ids [N, H, W] below {classes}" if classes else "pictures uint8 [N, C, H, W]"
        raise ConfigError(
            f"condition is {condition.dtype} {list(condition.shape)}, {wanted} were wanted; "
            "check data.classes and data.input_channels"
        )
    return one_hot(condition, classes)


def one_hot(ids: Tensor, classes: int) -> Tensor:
    """Class ids [N, H, W] below `classes` -> float [N, classes, H, W] with exactly one 1 a pixel."""
    maps = torch.zeros(len(ids), classes, *ids.shape[1:], device=ids.device)
    return maps.scatter_(1, ids.long().unsqueeze(1), 1.0)


def boundaries(instances: Tensor) -> Tensor:
    """Instance ids [N, H, W] -> float [N, 1, H, W]: 1 where any of the 4 neighbours is another instance (Wang et al. 2018, sec. 3.3)."""
    down = instances[:, 1:] != instances[:, :-1]
    across = instances[:, :, 1:] != instances[:, :, :-1]
    edge = torch.zeros_like(instances, dtype=torch.bool)
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    return edge.unsqueeze(1).float()


def regions(instances: Tensor) -> tuple[Tensor, int]:
    """Instance ids [N, H, W], any integers -> (numbers 0 ... R - 1 of the regions of the whole batch [N, H, W], R)."""
    ids = instances.long()
    apart = (
        ids
        - ids.min()
        + torch.arange(len(ids), device=ids.device).view(-1, 1, 1) * (ids.max() - ids.min() + 1)
    )
    found, numbers = torch.unique(apart, return_inverse=True)
    return numbers, len(found)


def region_classes(labels: Tensor, numbers: Tensor, count: int) -> Tensor:
    """The class [R] of each region, int64; labels: class ids [N, H, W], one class a region."""
    classes = torch.zeros(count, dtype=torch.int64, device=numbers.device)
    return classes.scatter_(0, numbers.reshape(-1), labels.reshape(-1).long())


def region_means(maps: Tensor, numbers: Tensor, count: int) -> Tensor:
    """Mean of maps [N, C, H, W] over each region, float32 [R, C]."""
    flat = maps.float().permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
    index = numbers.reshape(-1)
    sums = torch.zeros(count, maps.shape[1], device=maps.device).index_add(0, index, flat)
    return sums / torch.bincount(index, minlength=count).unsqueeze(1)


def spread(values: Tensor, numbers: Tensor) -> Tensor:
    """[R, C] of the regions -> [N, C, H, W], constant within each."""
    return values[numbers].permute(0, 3, 1, 2)


def halved_ids(ids: Tensor, times: int) -> Tensor:
    """Ids [N, H, W] at every `times`-th pixel, as nearest-neighbour resizing takes them."""
    return ids[:, times // 2 :: times, times // 2 :: times] if times > 1 else ids


def pooled(maps: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, ceil(H / 2), ceil(W / 2)]: means of 3x3 at stride 2, of what lies inside the picture."""
    return F.avg_pool2d(maps, 3, stride=2, padding=1, count_include_pad=False)
