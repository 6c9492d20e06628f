"""One endless stream of real samples: order, batch size and resolution are pure functions of the position in it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from gan_zoo import chance
from gan_zoo.schema import ConfigError, DataError

Key = tuple[int, int, int]  # (index, epoch, resolution)


class BatchDataset(Protocol):
    """A map-style data set that is asked for whole batches, so that in-memory data are sliced and not collated."""

    def __len__(self) -> int: ...

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]: ...


class Shuffled:
    """The items of a data set in another order, always the same one: folders are sorted by class, or by city."""

    def __init__(self, items: BatchDataset) -> None:
        self.items = items
        self.order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0)).tolist()

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor]:
        return self.items.__getitems__([(self.order[index], epoch, side) for index, epoch, side in keys])


class Order:
    """The order of an endless stream over `size` items: each epoch a permutation (no item twice, none left out).

    With `weights` (one per item, >= 0) an epoch is `size` draws with replacement in proportion to them.
    """

    def __init__(self, size: int, seed: int, weights: Tensor | None = None) -> None:
        if size < 1:
            raise ConfigError(f"a data set needs at least one item, got {size}")
        self.size, self.seed, self.weights = size, seed, weights
        self._epoch, self._indices = -1, torch.empty(0, dtype=torch.int64)

    def epoch(self, number: int) -> Tensor:
        """Indices of one epoch, int64 [size]; a function of (seed, number) alone."""
        if number != self._epoch:
            generator = torch.Generator().manual_seed(chance.mix(self.seed, "order", number))
            if self.weights is None:
                self._indices = torch.randperm(self.size, generator=generator)
            else:
                self._indices = torch.multinomial(
                    self.weights, self.size, replacement=True, generator=generator
                )
            self._epoch = number
        return self._indices

    def keys(self, start: int, count: int) -> list[tuple[int, int]]:
        """(index, epoch) of positions start ... start + count - 1."""
        found: list[tuple[int, int]] = []
        while len(found) < count:
            epoch, offset = divmod(start + len(found), self.size)
            part = self.epoch(epoch)[offset : offset + count - len(found)]
            found += [(index, epoch) for index in part.tolist()]
        return found


class EndlessBatchSampler(Sampler[list[Key]]):
    """Batches of keys from position `start` on, for one of `world` ranks; it has no end and no length.

    plan: position (samples seen) -> (global batch size, resolution). Rank r gets the r-th contiguous share of each
    global batch, so that all ranks together see what one process with the global batch would.
    """

    def __init__(
        self,
        order: Order,
        plan: Callable[[int], tuple[int, int]],
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.order, self.plan, self.start, self.rank, self.world = order, plan, start, rank, world

    def __iter__(self) -> Iterator[list[Key]]:
        position = self.start
        while True:
            batch, resolution = self.plan(position)
            share = batch // self.world
            if batch < 1 or share * self.world != batch:
                fitting = " or ".join(str(n * self.world) for n in (share, share + 1) if n > 0) or self.world
                raise ConfigError(
                    f"batch size {batch} cannot be shared by {self.world} devices; {fitting} would work"
                )
            keys = self.order.keys(position + self.rank * share, share)
            yield [(index, epoch, resolution) for index, epoch in keys]
            position += batch


def _whole_batch(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return batch


class _Told:
    """A data set whose refusals leave a worker as values: torch would make a RuntimeError with a stack trace of them."""

    def __init__(self, data: BatchDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, keys: Sequence[Key]) -> dict[str, Tensor] | ValueError:
        try:
            return self.data.__getitems__(keys)
        except (ConfigError, DataError) as refusal:
            return refusal


class _Loader(DataLoader[Any]):
    """Raises what a worker refused."""

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            if isinstance(batch, ValueError):
                raise batch
            yield batch


def lost_worker(failure: BaseException) -> bool:
    """Whether a worker of a data loader was killed, or gave no batch in time: torch says so in words only."""
    return isinstance(failure, RuntimeError) and str(failure).startswith("DataLoader ")


class DataModule(LightningDataModule):
    """Base of all data sets: what they are, and the endless stream of them.

    resolution, channels, classes and modality are what conf/data declares; `prepare` checks the files against them.
    batch_size is global: summed over devices and accumulation. class_weights: one weight per class, for real data
    sampled in proportion to them; None samples every item once an epoch.
    """

    def __init__(
        self,
        *,
        name: str,
        resolution: int,
        channels: int,
        classes: int,
        modality: str,
        batch_size: int,
        workers: int = 0,
        root: str | None = None,
        download: bool = False,
        cache: str | None = None,
        flip: bool = False,
        class_weights: list[float] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name, self.resolution, self.channels, self.classes, self.modality = (
            name,
            resolution,
            channels,
            classes,
            modality,
        )
        self.batch_size, self.workers, self.root, self.download, self.cache = (
            batch_size,
            workers,
            root,
            download,
            cache,
        )
        self.flip, self.class_weights, self.seed = flip, class_weights, seed
        self.start = 0
        self.timeout = 0.0  # seconds that a batch of a worker is waited for; 0: for ever
        self._plan: Callable[[int], tuple[int, int] | None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a spawned data worker is given where a data set refers to its module: not the trainer, nor the model's plan."""
        return {**self.__dict__, "trainer": None, "_plan": None}

    def prepare(self) -> None:
        """Checks what can be known before the first step; DataError names the file, the layout wanted and the remedy."""

    def train_set(self) -> BatchDataset:
        raise NotImplementedError(f"{type(self).__name__} must define train_set()")

    def plain_train_set(self) -> BatchDataset:
        """The training items as they stand, without the mirroring, jitter and random crops of training: what samples are held against."""
        return self._plain().train_set()

    def _plain(self) -> Self:
        plain = copy.copy(self)
        plain.flip = False
        return plain

    def held_out_set(self) -> BatchDataset:
        raise NotImplementedError(f"{type(self).__name__} must define held_out_set()")

    def held_out_batch(self, n: int) -> dict[str, Tensor]:
        """The first n held-out items on the wire, from the first again where there are fewer."""
        items = self.held_out_set()
        return items.__getitems__([(i % len(items), 0, self.resolution) for i in range(n)])

    def conditions(self) -> Tensor | None:
        """The class index of every training item, int64 [items], where the data are labelled."""
        return None

    def begin(self, start: int, plan: Callable[[int], tuple[int, int] | None] | None = None) -> None:
        """Sets the position of the next batch; `plan` says batch size and resolution, or None where they are the data's."""
        self.start = start
        if plan is not None:
            self._plan = plan

    def plan(self, position: int) -> tuple[int, int]:
        """(global batch size, resolution) of the batch that begins there."""
        return (self._plan(position) if self._plan else None) or (self.batch_size, self.resolution)

    def _item_weights(self) -> Tensor | None:
        if self.class_weights is None:
            return None
        labels = self.conditions()
        if labels is None:
            raise ConfigError(
                f"data.class_weights needs labelled data, {self.name} has no classes; set it to null"
            )
        if len(self.class_weights) != self.classes:
            raise ConfigError(
                f"data.class_weights has {len(self.class_weights)} entries, {self.name} has {self.classes} classes"
            )
        if not (all(0 <= weight < math.inf for weight in self.class_weights) and any(self.class_weights)):
            raise ConfigError(
                f"data.class_weights must be finite numbers of at least 0, not all 0; got {self.class_weights}"
            )
        counts = torch.bincount(labels, minlength=self.classes).clamp_min(1)
        return (torch.tensor(self.class_weights, dtype=torch.float64) / counts)[labels]

    def train_dataloader(self) -> DataLoader[Any]:
        """An endless loader that begins at `start`: the same batches whatever the number of workers."""
        data = self.train_set()
        order = Order(len(data), self.seed, self._item_weights())
        rank = self.trainer.global_rank if self.trainer is not None else 0
        world = self.trainer.world_size if self.trainer is not None else 1
        sampler = EndlessBatchSampler(order, self.plan, self.start, rank, world)
        return _Loader(
            _Told(data),  # type: ignore[arg-type]
            batch_sampler=sampler,
            collate_fn=_whole_batch,  # type: ignore[arg-type]
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            timeout=self.timeout if self.workers else 0.0,
            pin_memory=torch.cuda.is_available(),
        )
