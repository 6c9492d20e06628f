"""Pairs from files: side by side in one picture, in two parallel folders, and Cityscapes in its own layout."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import PositiveInt

from gan_zoo.data.image_data import Rows, spread
from gan_zoo.data.pair_cache import Arrays, Item, MappedPairs, decode_pairs
from gan_zoo.data.pair_data import PairData, Pairs
from gan_zoo.data.pictures import Reading, data_error, list_pictures, printable, read_ids, root_of
from gan_zoo.schema import ConfigError

HELD_OUT_FOLDERS = ("val", "test")  # the first that exists is held out


class Split(NamedTuple):
    """The items to train with and those held out."""

    train: list[Item]
    held_out: list[Item]


class FilePairs(PairData):
    """Base of pairs of files: a subclass finds the items and reads one; each is decoded once, into a cache.

    held_out: share kept from training where the files come without val or test folders. resample: Pillow's filter to
    width x resolution; the whole picture is brought there, whatever its aspect. cache: folder for decoded pairs, null is
    .gan_zoo_cache beside `root`. max_pixels: larger files are refused by their header.
    """

    def __init__(
        self,
        *,
        held_out: float,
        resample: Literal["box", "bicubic", "lanczos"],
        max_pixels: PositiveInt,
        source: str | None,
        **pairs: Any,
    ) -> None:
        super().__init__(**pairs)
        if not 0 < held_out < 1:
            raise ConfigError(f"data.held_out is a share between 0 and 1, got {held_out}")
        if resample not in ("box", "bicubic", "lanczos"):
            raise ConfigError(f"data.resample must be box, bicubic or lanczos, got {resample!r}")
        self.held_out, self.resample, self.max_pixels, self.source = held_out, resample, max_pixels, source
        self._loaded: tuple[MappedPairs, Rows, Rows] | None = None

    @abstractmethod
    def items(self, root: Path) -> Split:
        """The pairs of files; DataError names what lacks a partner."""

    @abstractmethod
    def read(self, item: Item) -> Arrays:
        """real, condition and instances of one item at the data's size; DataError names the file."""

    @abstractmethod
    def layout(self) -> str:
        """What `root` must hold, and where it comes from."""

    def settings(self) -> Mapping[str, Any]:
        """Plain values that `read` depends on."""
        return {
            "kind": type(self).__name__,
            "size": [self.resolution, self.width],
            "channels": [self.channels, self.input_channels, self.classes],
            "instances": self.instances,
            "resample": self.resample,
        }

    def folder(self) -> Path:
        return root_of(self.name, self.root, self.layout())

    @property
    def loaded(self) -> tuple[MappedPairs, Rows, Rows]:
        if self._loaded is None:
            root = self.folder()
            split = self.items(root)
            if not split.train or not split.held_out:
                raise data_error(
                    root,
                    f"has {len(split.train)} pairs to train with and {len(split.held_out)} held out. {self.layout()}",
                )
            store = decode_pairs(
                root,
                [*split.train, *split.held_out],
                self.read,
                self.settings(),
                self.resolution,
                self.cache,
            )
            rows = np.split(np.arange(len(store)), [len(split.train)])
            self._loaded = store, rows[0], rows[1]
        return self._loaded

    def prepare(self) -> None:
        if self.download:
            raise ConfigError(
                f"{self.name} cannot be downloaded by this program; set data.download=false. {self.layout()}"
            )
        _ = self.loaded  # reads everything, and complains now rather than in the tenth epoch

    def train_set(self) -> Pairs:
        store, train, _ = self.loaded
        return Pairs(store, train, flip=self.flip, jitter=self.jitter, seed=self.seed)

    def held_out_set(self) -> Pairs:
        store, _, held_out = self.loaded
        return Pairs(store, held_out)

    def fitted(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """uint8 [C, H, W] at the data's size."""
        image = image.resize((self.width, self.resolution), Image.Resampling[self.resample.upper()])
        array = np.asarray(image)
        return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))

    def picture(self, path: Path, channels: int) -> Image.Image:
        return Reading(self.resolution, channels, max_pixels=self.max_pixels).whole(path)

    def ids(self, path: Path, size: tuple[int, int], partner: Path, most: int) -> npt.NDArray[np.uint16]:
        """A map of ids below `most` at the data's size, of a file that is as large as its partner."""
        ids = read_ids(path, self.max_pixels)
        if ids.shape != (size[1], size[0]):
            raise data_error(
                path,
                f"is {ids.shape[1]} x {ids.shape[0]}, its partner {_short(partner)} is {size[0]} x {size[1]}",
            )
        if ids.max() >= most:
            rows, columns = np.nonzero(ids >= most)
            raise data_error(
                path,
                f"has the id {ids[rows[0], columns[0]]} at row {rows[0]}, column {columns[0]}; ids are 0 to {most - 1} "
                f"with data.classes={self.classes}: set data.classes to what the maps hold",
            )
        rows = ((np.arange(self.resolution) + 0.5) * ids.shape[0] / self.resolution).astype(np.int64)
        columns = ((np.arange(self.width) + 0.5) * ids.shape[1] / self.width).astype(np.int64)
        return np.ascontiguousarray(ids[np.ix_(rows, columns)])

    def shared(self, items: list[Item]) -> Split:
        """A share of the sorted items held out, evenly spread over them."""
        held_out = spread(np.zeros(len(items), np.int64), max(1, round(self.held_out * len(items))))
        kept = set(held_out.tolist())
        return Split(
            [item for row, item in enumerate(items) if row not in kept], [items[row] for row in held_out]
        )


def _short(path: Path) -> str:
    return printable(Path(*path.parts[-2:]))


def _files(folder: Path) -> list[Path]:
    listing = list_pictures(folder)
    if listing.bad:
        raise listing.bad[0]
    return list(listing.files)


def _held_out_folder(root: Path) -> str | None:
    return next((name for name in HELD_OUT_FOLDERS if (root / name).is_dir()), None)


class SideBySide(FilePairs):
    """Two pictures of one size side by side in each file, as pix2pix's own sets have them: left A, right B.

    direction: a_to_b makes the right one from the left. root: train with val or test, or pictures without such folders.
    """

    def __init__(self, *, direction: Literal["a_to_b", "b_to_a"], **files: Any) -> None:
        super().__init__(**files)
        if self.classes:
            raise ConfigError(
                f"{self.name} are pictures on both sides: data.classes must be 0, got {self.classes}"
            )
        if direction not in ("a_to_b", "b_to_a"):
            raise ConfigError(f"data.direction must be a_to_b or b_to_a, got {direction!r}")
        self.direction = direction

    def layout(self) -> str:
        where = f" {self.source}" if self.source else ""
        return f"Expected data.root/train and data.root/val or test with pictures that show A on the left and B on the right.{where}"

    def settings(self) -> Mapping[str, Any]:
        return {**super().settings(), "direction": self.direction}

    def items(self, root: Path) -> Split:
        name = _held_out_folder(root)
        if (root / "train").is_dir() and name is not None:
            return Split(self.pairs(root / "train"), self.pairs(root / name))
        items = self.pairs(root)
        return self.shared(items) if len(items) > 1 else Split(items, [])

    def pairs(self, folder: Path) -> list[Item]:
        return [{"pair": file} for file in _files(folder)]

    def read(self, item: Item) -> Arrays:
        path = item["pair"]
        whole = self.picture(path, 3)
        width, height = whole.size
        if width % 2 or width < 2:
            raise data_error(
                path, f"is {width} x {height}: two pictures of one size side by side have an even width"
            )
        halves = [whole.crop((start, 0, start + width // 2, height)) for start in (0, width // 2)]
        source, target = halves if self.direction == "a_to_b" else halves[::-1]
        return {
            "real": self.fitted(target.convert("L") if self.channels == 1 else target),
            "condition": self.fitted(source.convert("L") if self.input_channels == 1 else source),
        }


class TwoFolders(FilePairs):
    """Pictures in one folder and what to make them from in another, partners by name (suffixes may differ).

    targets, inputs: folders below `root`, each alike with or without train and val or test in it. With data.classes > 0
    the inputs are maps of class ids, single-channel PNG; instances: a folder of maps of instance ids, or null.
    """

    def __init__(self, *, inputs: str, targets: str, instance_maps: str | None, **files: Any) -> None:
        super().__init__(**files)
        if self.instances != (instance_maps is not None):
            raise ConfigError(
                f"data.instances={self.instances} and data.instance_maps={instance_maps} do not agree; name the folder "
                "of instance maps and set data.instances=true, or neither"
            )
        self.parts = {"real": targets, "condition": inputs}
        if instance_maps is not None:
            self.parts["instances"] = instance_maps

    def layout(self) -> str:
        named = ", ".join(f"data.root/{folder}" for folder in self.parts.values())
        return (
            f"Expected {named}, alike inside, with or without train and val or test; partners have one name."
        )

    def items(self, root: Path) -> Split:
        for folder in self.parts.values():
            if not (root / folder).is_dir():
                raise data_error(root / folder, f"there is no such folder. {self.layout()}")
        name = _held_out_folder(root / self.parts["real"])
        if (root / self.parts["real"] / "train").is_dir() and name is not None:
            return Split(self.partners(root, "train"), self.partners(root, name))
        items = self.partners(root, "")
        return self.shared(items) if len(items) > 1 else Split(items, [])

    def partners(self, root: Path, part: str) -> list[Item]:
        """Items by name, sorted; DataError names the files without a partner."""
        found: dict[str, dict[str, Path]] = {}
        for key, folder in self.parts.items():
            start = root / folder / part
            if not start.is_dir():
                raise data_error(start, f"there is no such folder. {self.layout()}")
            for file in _files(start):
                name = file.relative_to(start).with_suffix("").as_posix()
                if key in (known := found.setdefault(name, {})):
                    raise data_error(
                        file, f"has the name of {printable(known[key].name)}; one of them must go"
                    )
                known[key] = file
        _refuse_single(root, found, self.parts)
        return [found[name] for name in sorted(found)]

    def read(self, item: Item) -> Arrays:
        target = self.picture(item["real"], self.channels)
        arrays: dict[str, npt.NDArray[Any]] = {"real": self.fitted(target)}
        if self.classes:
            ids = self.ids(item["condition"], target.size, item["real"], self.classes)
            arrays["condition"] = ids.astype(np.uint8)
        else:
            source = self.picture(item["condition"], self.input_channels)
            if source.size != target.size:
                raise data_error(
                    item["condition"],
                    f"is {source.width} x {source.height}, its partner {_short(item['real'])} is "
                    f"{target.width} x {target.height}",
                )
            arrays["condition"] = self.fitted(source)
        if "instances" in item:
            arrays["instances"] = self.ids(item["instances"], target.size, item["real"], 65536)
        return arrays


def _refuse_single(root: Path, found: Mapping[str, Mapping[str, Path]], wanted: Mapping[str, str]) -> None:
    """DataError where a name does not have all of its files, with ten of those."""
    single = [
        f"{name}: none in {folder}"
        for name, files in sorted(found.items())
        for key, folder in wanted.items()
        if key not in files
    ]
    if single:
        more = [f"... and {len(single) - 10} more"] if len(single) > 10 else []
        named = "\n  ".join(printable(line) for line in [*single[:10], *more])
        raise data_error(
            root, f"{len(single)} files have no partner of the same name:\n  {named}\nAdd or remove them."
        )


class Cityscapes(FilePairs):
    """Streets from cars in 50 cities (Cordts et al. 2016), made from their fine annotations: 2,975 and 500 held out.

    The files as they come: leftImg8bit and gtFine, with labelIds and instanceIds; classes is 35 as in pix2pixHD (ids 0 to
    33 occur). Sizes up to 2048 x 1024.
    """

    def layout(self) -> str:
        return (
            "Expected data.root/leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and data.root/gtFine/{train,val}/CITY/"
            "*_gtFine_labelIds.png and *_gtFine_instanceIds.png: leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip "
            "from https://www.cityscapes-dataset.com, unpacked"
        )

    def __init__(self, **files: Any) -> None:
        super().__init__(**files)
        if not self.classes:
            raise ConfigError(
                f"{self.name} are made from class ids: data.classes must be 35 and data.input_channels 0"
            )
        if self.resolution > 1024 or self.width > 2048:
            raise ConfigError(
                f"{self.name} are 2048 x 1024 pictures, asked for at {self.width} x {self.resolution}; lower data.width "
                "and data.resolution"
            )

    def items(self, root: Path) -> Split:
        return Split(*(self._part(root, part) for part in ("train", "val")))

    def _part(self, root: Path, part: str) -> list[Item]:
        endings = {"real": ("leftImg8bit", "_leftImg8bit"), "condition": ("gtFine", "_gtFine_labelIds")}
        if self.instances:
            endings["instances"] = ("gtFine", "_gtFine_instanceIds")
        found: dict[str, dict[str, Path]] = {}
        for key, (folder, ending) in endings.items():
            start = root / folder / part
            if not start.is_dir():
                raise data_error(start, f"there is no such folder. {self.layout()}")
            for file in sorted(start.glob(f"*/*{ending}.png")):
                found.setdefault(f"{file.parent.name}/{file.name.removesuffix(f'{ending}.png')}", {})[key] = (
                    file
                )
        wanted = {key: f"{folder}/{part} (*{ending}.png)" for key, (folder, ending) in endings.items()}
        _refuse_single(root, found, wanted)
        return [found[name] for name in sorted(found)]

    def read(self, item: Item) -> Arrays:
        picture = self.picture(item["real"], self.channels)
        arrays: dict[str, npt.NDArray[Any]] = {
            "real": self.fitted(picture),
            "condition": self.ids(item["condition"], picture.size, item["real"], self.classes).astype(
                np.uint8
            ),
        }
        if self.instances:
            arrays["instances"] = self.ids(item["instances"], picture.size, item["real"], 65536)
        return arrays
