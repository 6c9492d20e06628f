"""Data sets of single pictures: embedded digits, torchvision's classics, CelebA and folders of your own."""

from __future__ import annotations

import gzip
import logging
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gan_zoo.data.image_data import FITS, ImageData, Loaded, Rows, none_held_out, spread
from gan_zoo.data.picture_cache import Decoded, decode_all
from gan_zoo.data.pictures import Listing, Reading, data_error, list_pictures, printable
from gan_zoo.data.pyramid import Stacked, pad
from gan_zoo.data.stream import BatchDataset
from gan_zoo.schema import ConfigError, DataError

log = logging.getLogger(__name__)


# ---------------------------------------------------------------- embedded


def read_digits() -> tuple[Tensor, Rows]:
    """scikit-learn's 1,797 handwritten digits (Alpaydin and Kaynak 1998): uint8 [1797, 1, 8, 8], labels."""
    from sklearn.datasets import load_digits  # a second to import

    bunch = load_digits()
    grey = torch.from_numpy(bunch.images)[:, None] * (255 / 16)  # ink is counted 0 .. 16
    return grey.round().to(torch.uint8), bunch.target.astype(np.int64)


class Digits(ImageData):
    """Real handwritten digits, 8x8, enlarged smoothly (bicubic, clipped) to `resolution` >= 8; embedded.

    1,500 pictures to train with and 297 held out, by `spread`, in the order of load_digits().
    margin: black pixels put around the 8x8 before (the digits fill their frame from top to bottom), where
    `resolution` has room for it.
    """

    HELD_OUT = 297

    def __init__(self, *, margin: int, **stream: Any) -> None:
        super().__init__(**stream)
        if margin < 0:
            raise ConfigError(f"data.margin must be 0 or more pixels, got {margin}")
        self.margin = margin if self.resolution >= 8 + 2 * margin else 0

    def load(self) -> Loaded:
        if self.resolution < 8:
            raise ConfigError(
                f"{self.name} are 8 x 8 pictures: data.resolution must be at least 8, got {self.resolution}"
            )
        pictures, labels = read_digits()
        pictures = pad(pictures, 8 + 2 * self.margin)
        held_out = spread(labels, self.HELD_OUT)
        train = np.setdiff1d(np.arange(len(labels)), held_out)
        return Loaded(self.in_memory(pictures), train, held_out, self.labelled(labels, 10))


class StackedDigits(ImageData):
    """Three digits as red, green and blue: 1000 modes, all equally likely (after Metz et al. 2017).

    items: length of an epoch; each epoch draws other stacks. held_out_items: number of stacks of held-out
    digits. margin: as for Digits. condition is the number that the digits spell: 407 is 4 in red, 0 in green,
    7 in blue.
    """

    def __init__(
        self, *, channels: int, classes: int, margin: int, items: int, held_out_items: int, **stream: Any
    ) -> None:
        super().__init__(channels=channels, classes=classes, **stream)
        if (channels, classes) != (3, 1000):
            raise ConfigError(
                f"{self.name} are RGB pictures of 1000 classes: data.channels must be 3 and "
                f"data.classes 1000, got {channels} and {classes}"
            )
        if items < 1 or held_out_items < 1:
            raise ConfigError(
                f"data.items and data.held_out_items must be at least 1, got {items} and {held_out_items}"
            )
        self.items, self.held_out_items = items, held_out_items
        self._digits = Digits(
            name=self.name,
            resolution=self.resolution,
            channels=1,
            classes=10,
            modality="image",
            batch_size=self.batch_size,
            margin=margin,
        )

    def load(self) -> Loaded:
        return self._digits.load()

    def train_set(self) -> BatchDataset:
        return self._stacked(self.loaded.train, self.items, self.seed, self.flip)

    def held_out_set(self) -> BatchDataset:
        return self._stacked(self.loaded.held_out, self.held_out_items, seed=0, flip=False)

    def _stacked(self, rows: Rows, items: int, seed: int, flip: bool) -> Stacked:
        labels = self.loaded.labels_of(rows)
        assert labels is not None  # asked for above: classes=10
        return Stacked(self.loaded.store, rows, labels, items=items, seed=seed, flip=flip)

    def conditions(self) -> Tensor | None:
        return None  # what stands at an index changes with the epoch


# ---------------------------------------------------------------- torchvision's classics


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The uint8 tensor of an IDX file, plain or .gz, of 1 GiB at most; `dimensions`: 3 pictures, 1 labels."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(2**30 + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise data_error(path, f"cannot be read ({error}); remove it and get it again") from error
    if content[:4] != bytes([0, 0, 8, dimensions]):
        raise data_error(
            path, f"is no IDX file of {dimensions}-dimensional bytes: it begins with {content[:4]!r}"
        )
    start = 4 + 4 * dimensions
    shape = np.frombuffer(content[4:start].ljust(4 * dimensions, b"\0"), ">u4").astype(np.int64)
    if len(content) != start + int(np.prod(shape)):
        raise data_error(
            path,
            f"holds {len(content)} bytes, its header says {start + int(np.prod(shape))} "
            f"({' x '.join(map(str, shape))}); remove it and get it again",
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(*shape.tolist())


class MNIST(ImageData):
    """Handwritten digits, 28x28 grey (LeCun et al. 1998): the 60,000 to train with, the 10,000 held out.

    fit: "resize" enlarges smoothly to `resolution`, "pad" adds a black frame and changes no pixel (28 -> 32
    by 2 px). Below 28 px the area mean is taken either way.
    """

    FOLDER = "MNIST"
    SOURCE = "https://ossci-datasets.s3.amazonaws.com/mnist/"

    def __init__(self, *, fit: Literal["resize", "pad"], **stream: Any) -> None:
        super().__init__(**stream)
        if fit not in FITS:
            raise ConfigError(f"data.fit must be resize or pad, got {fit!r}")
        self.fit = fit

    def layout(self) -> str:
        return (
            f"Expected data.root/{self.FOLDER}/raw/ with train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or .gz; "
            f"from {self.SOURCE} or by data.download=true"
        )

    def fetch(self) -> None:
        import torchvision  # slow to import

        root = _made(self.root, self.layout())
        try:
            getattr(torchvision.datasets, self.FOLDER)(root, download=True)
        except (RuntimeError, OSError, HTTPException) as error:
            raise data_error(root, f"the download failed: {error} {self.layout()}") from error

    def load(self) -> Loaded:
        raw = self.folder() / self.FOLDER / "raw"
        pictures, labels = zip(*(self._part(raw, part) for part in ("train", "t10k")), strict=True)
        rows = np.arange(sum(map(len, labels)))
        train, held_out = np.split(rows, [len(labels[0])])
        store = self.in_memory(torch.cat(pictures)[:, None], self.fit)
        return Loaded(store, train, held_out, self.labelled(torch.cat(labels).long().numpy(), 10))

    def _part(self, raw: Path, part: str) -> tuple[Tensor, Tensor]:
        pictures = read_idx(images_file := self._find(raw, f"{part}-images-idx3-ubyte"), 3)
        labels = read_idx(labels_file := self._find(raw, f"{part}-labels-idx1-ubyte"), 1)
        if pictures.shape[1:] != (28, 28):
            raise data_error(images_file, f"holds pictures of {tuple(pictures.shape[1:])}, wanted 28 x 28")
        if len(labels) != len(pictures) or not len(labels) or labels.max() > 9:
            raise data_error(
                labels_file,
                f"holds {len(labels)} labels for {len(pictures)} pictures, or one above 9; "
                "the files do not belong together: remove them and get them again",
            )
        return pictures, labels

    def _find(self, raw: Path, name: str) -> Path:
        for path in (raw / name, raw / f"{name}.gz"):
            if path.is_file():
                return path
        raise data_error(raw / name, f"there is no such file. {self.layout()}")


class FashionMNIST(MNIST):
    """Articles of clothing, 28x28 grey (Xiao et al. 2017), in MNIST's format: 60,000 and 10,000 held out."""

    FOLDER = "FashionMNIST"
    SOURCE = "https://github.com/zalandoresearch/fashion-mnist"


class CIFAR10(ImageData):
    """Ten kinds of things, 32x32 RGB (Krizhevsky 2009): the 50,000 to train with, the 10,000 held out.

    The files are Python pickles, which can run code: they are opened only if their MD5 is the published one.
    """

    def layout(self) -> str:
        return (
            "Expected data.root/cifar-10-batches-py/ with data_batch_1 ... data_batch_5, test_batch and "
            "batches.meta, from "
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz or by data.download=true"
        )

    def fetch(self) -> None:
        from torchvision.datasets import CIFAR10 as Archive  # slow to import

        root = _made(self.root, self.layout())
        try:
            Archive(root, download=True)
        except (RuntimeError, OSError, HTTPException) as error:
            raise data_error(root, f"the download failed: {error} {self.layout()}") from error

    def load(self) -> Loaded:
        from torchvision.datasets import CIFAR10 as Archive

        root = self.folder()
        self._check(
            root / Archive.base_folder,
            [*Archive.train_list, *Archive.test_list, [Archive.meta["filename"], Archive.meta["md5"]]],
        )
        train, test = Archive(root, train=True), Archive(root, train=False)
        pictures = torch.from_numpy(np.concatenate([train.data, test.data]).transpose(0, 3, 1, 2).copy())
        labels = np.array([*train.targets, *test.targets], dtype=np.int64)
        rows = np.split(np.arange(len(labels)), [len(train.targets)])
        return Loaded(self.in_memory(pictures), rows[0], rows[1], self.labelled(labels, 10))

    def _check(self, folder: Path, files: list[list[str]]) -> None:
        """Names the first file that is missing or not the published one, before anything is unpickled."""
        from torchvision.datasets.utils import check_md5

        for name, checksum in files:
            path = folder / name
            if not path.is_file():
                raise data_error(path, f"there is no such file. {self.layout()}")
            if not check_md5(path, checksum):
                raise data_error(
                    path,
                    "is not the published file (its MD5 differs), and pickles of unknown origin are "
                    f"not opened; remove it and get it again. {self.layout()}",
                )


def _made(root: str | None, layout: str) -> Path:
    """The folder to download to."""
    if root is None:
        raise ConfigError(f"data.download=true needs data.root=FOLDER to download to. {layout}")
    try:
        Path(root).expanduser().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise data_error(root, f"cannot be made: {error.strerror}") from error
    return Path(root).expanduser()


# ---------------------------------------------------------------- files


class FileData(ImageData):
    """Base of data sets of picture files, decoded once into a cache (see picture_cache.decode_all).

    resample: Pillow's filter to `resolution`. on_error: "raise" at the first run if any file is bad, with a
    list; "skip" leaves out at most 1 %. cache: folder for decoded pictures, null = .gan_zoo_cache beside
    `root`.
    """

    def __init__(
        self,
        *,
        resample: Literal["box", "bicubic", "lanczos"],
        on_error: Literal["raise", "skip"],
        **stream: Any,
    ) -> None:
        super().__init__(**stream)
        if resample not in ("box", "bicubic", "lanczos"):
            raise ConfigError(f"data.resample must be box, bicubic or lanczos, got {resample!r}")
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"data.on_error must be raise or skip, got {on_error!r}")
        self.resample, self.on_error = resample, on_error

    def decode(self, listing: Listing, **how: Any) -> Decoded:
        """The pictures of the listing at `resolution` and `channels`; `how`: the rest of Reading's fields."""
        reading = Reading(self.resolution, self.channels, resample=self.resample, **how)
        return decode_all(listing, reading, cache=self.cache, on_error=self.on_error)


class CelebA(FileData):
    """202,599 faces (Liu et al. 2015), aligned, 178x218; cut out around x 89, y 121 (Karras et al. 2018).

    crop: side of the square, 128 in that paper; resolution <= crop. train_on: "train" (partition 0: 162,770)
    or "all"; held out is the test partition (2: 19,962), which "all" contains. No labels: classes is 0.
    """

    CENTRE = 89, 121

    def __init__(self, *, crop: int, train_on: Literal["train", "all"], **stream: Any) -> None:
        super().__init__(**stream)
        if self.classes != 0:
            raise ConfigError(f"{self.name} has no classes: data.classes must be 0, got {self.classes}")
        if not 2 <= crop <= 178 or crop % 2:
            raise ConfigError(
                f"data.crop must be even and at most 178 px, the width of the pictures, got {crop}"
            )
        if self.resolution > crop:
            raise ConfigError(
                f"data.resolution {self.resolution} is larger than data.crop {crop}; "
                "raise data.crop (178 at most) or lower data.resolution"
            )
        if train_on not in ("train", "all"):
            raise ConfigError(f"data.train_on must be train or all, got {train_on!r}")
        self.crop, self.train_on = crop, train_on

    def layout(self) -> str:
        return (
            "Expected data.root/img_align_celeba/000001.jpg ... 202599.jpg (178 x 218) and "
            "data.root/list_eval_partition.txt: img_align_celeba.zip, unpacked, and the list, both from "
            "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
        )

    def load(self) -> Loaded:
        root = self.folder()
        if not (root / "img_align_celeba").is_dir() and (root / "celeba").is_dir():
            root = root / "celeba"  # where torchvision puts it
        pictures = root / "img_align_celeba"
        if not pictures.is_dir():
            raise data_error(pictures, f"there is no such folder. {self.layout()}")
        partition = self._partition(root / "list_eval_partition.txt")
        listing = list_pictures(pictures)
        self._check_names({file.name for file in listing.files}, partition, pictures)
        listing = Listing(
            pictures, tuple(file for file in listing.files if file.name in partition), listing.bad
        )
        x, y = self.CENTRE
        half = self.crop // 2
        decoded = self.decode(listing, size=(178, 218), box=(x - half, y - half, x + half, y + half))
        parts = np.array([partition[file.name] for file in decoded.files])
        train = np.arange(len(parts)) if self.train_on == "all" else np.flatnonzero(parts == 0)
        return Loaded(decoded.pictures, train, np.flatnonzero(parts == 2), None)

    def _partition(self, path: Path) -> dict[str, int]:
        """File name -> 0 (train), 1 (validation), 2 (test)."""
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise data_error(path, f"cannot be read ({error}). {self.layout()}") from error
        partition: dict[str, int] = {}
        for number, line in enumerate(lines, start=1):
            match line.split():
                case []:
                    continue
                case [name, ("0" | "1" | "2") as part]:
                    partition[name] = int(part)
                case _:
                    raise DataError(
                        f"{printable(path)}:{number}", f"wanted a file name and 0, 1 or 2, got {line[:80]!r}"
                    )
        if not {0, 2} <= set(partition.values()):
            raise data_error(
                path, f"names no picture to train with (0) or none to test with (2). {self.layout()}"
            )
        return partition

    def _check_names(self, present: set[str], partition: dict[str, int], pictures: Path) -> None:
        if absent := sorted(partition.keys() - present):
            raise data_error(
                pictures,
                f"{len(absent)} of {len(partition)} pictures that list_eval_partition.txt names are "
                f"missing: {', '.join(absent[:10])}{', ...' if len(absent) > 10 else ''}. {self.layout()}",
            )


class Folder(FileData):
    """Any folder of pictures; with classes > 0 its sub-folders, sorted by name, are the classes.

    held_out: share of the pictures kept from training, evenly spread over the sorted files (`spread`); 0
    keeps none. background: what transparent parts stand on, [red, green, blue]. enlarge: also take pictures
    that are too small.
    """

    def __init__(
        self,
        *,
        held_out: float,
        background: list[int],
        enlarge: bool,
        max_pixels: int,
        source: str | None,
        **stream: Any,
    ) -> None:
        super().__init__(**stream)
        if not 0 <= held_out < 1:
            raise ConfigError(f"data.held_out is a share from 0 to below 1, got {held_out}")
        self.held_out, self.background, self.enlarge, self.max_pixels = (
            held_out,
            background,
            enlarge,
            max_pixels,
        )
        self.source = source

    def layout(self) -> str:
        wanted = (
            f"{self.classes} sub-folders, one a class"
            if self.classes
            else "in any arrangement of sub-folders"
        )
        return f"Expected pictures under data.root, {wanted}." + (f" {self.source}" if self.source else "")

    def load(self) -> Loaded:
        root = self.folder()
        listing = list_pictures(root)
        if not listing.files and not listing.bad:
            raise data_error(root, f"holds no picture. {self.layout()}")
        names = self._class_names(listing) if self.classes else [""]
        decoded = self.decode(
            listing, background=tuple(self.background), enlarge=self.enlarge, max_pixels=self.max_pixels
        )
        number = {name: label for label, name in enumerate(names)}
        classes = [file.relative_to(root).parts[0] if self.classes else "" for file in decoded.files]
        labels = np.array([number[name] for name in classes], dtype=np.int64)
        held_out = spread(labels, round(self.held_out * len(labels)))
        train = np.setdiff1d(np.arange(len(labels)), held_out)
        if not len(train):
            raise data_error(
                root, f"{len(labels)} pictures leave none to train with at data.held_out={self.held_out}"
            )
        return Loaded(decoded.pictures, train, held_out, self.labelled(labels, len(names)))

    def _class_names(self, listing: Listing) -> list[str]:
        parts = [file.relative_to(listing.root).parts for file in listing.files]
        if loose := [part[0] for part in parts if len(part) == 1]:
            raise data_error(
                listing.root / loose[0],
                f"lies in no class folder (one of {len(loose)}). {self.layout()} "
                "Set data.classes=0 for pictures without classes.",
            )
        names = sorted({part[0] for part in parts})
        log.info(
            "%s: classes %s",
            printable(listing.root),
            {label: printable(name) for label, name in enumerate(names[:20])},
        )
        if len(names) != self.classes:
            some = ", ".join(printable(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")
            raise data_error(
                listing.root,
                f"has {len(names)} sub-folders with pictures ({some}), data.classes is "
                f"{self.classes}; set it to {len(names)}, or to 0 to leave the labels out",
            )
        return names

    def held_out_set(self) -> BatchDataset:
        if not len(self.loaded.held_out):
            raise none_held_out(self.name, len(self.loaded.train))
        return super().held_out_set()
