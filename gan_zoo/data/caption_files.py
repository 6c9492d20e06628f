"""Captioned pictures from files: Oxford-102 Flowers and CUB-200 as they are given, and any folder with texts beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

from gan_zoo.data.captions import CaptionData, CaptionedPictures
from gan_zoo.data.image_data import Loaded, Rows, none_held_out, spread
from gan_zoo.data.picture_cache import Decoded, decode_all
from gan_zoo.data.pictures import Listing, Reading, data_error, list_pictures, printable
from gan_zoo.data.stream import BatchDataset
from gan_zoo.schema import ConfigError, DataError

NAMED_AT_MOST = 10


class CaptionFiles(CaptionData):
    """Base of captioned pictures in files.

    fit: "stretch" brings the whole picture to a square, as Reed et al. 2016 do, "square" cuts out the middle. margin: pictures are
    kept this many times larger, and each time a random square of `resolution` is cut out (theirs: 76 / 64 = 1.1875; 1 cuts nothing);
    held-out ones are cut out of the middle. resample, on_error, cache: as for data=folder.
    """

    def __init__(
        self,
        *,
        fit: Literal["stretch", "square"],
        margin: float,
        resample: Literal["box", "bicubic", "lanczos"],
        on_error: Literal["raise", "skip"],
        enlarge: bool,
        max_pixels: PositiveInt,
        **stream: Any,
    ) -> None:
        super().__init__(**stream)
        if fit not in ("stretch", "square"):
            raise ConfigError(f"data.fit must be stretch or square, got {fit!r}")
        if not 1 <= margin <= 2:
            raise ConfigError(f"data.margin is how much larger pictures are kept, from 1 to 2, got {margin}")
        if resample not in ("box", "bicubic", "lanczos"):
            raise ConfigError(f"data.resample must be box, bicubic or lanczos, got {resample!r}")
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"data.on_error must be raise or skip, got {on_error!r}")
        self.fit, self.margin, self.resample, self.on_error = fit, margin, resample, on_error
        self.enlarge, self.max_pixels = enlarge, max_pixels
        self.texts: list[list[str]] = []  # of each row
        self.names: list[str] = []  # of the classes

    @property
    def kept(self) -> int:
        """Side of the pictures that squares are cut out of."""
        return round(self.resolution * self.margin)

    def reading(self) -> Reading:
        return Reading(
            self.kept,
            self.channels,
            resample=self.resample,
            enlarge=self.enlarge,
            max_pixels=self.max_pixels,
            stretch=self.fit == "stretch",
        )

    def read_pictures(self, listing: Listing) -> Decoded:
        return decode_all(listing, self.reading(), cache=self.cache, on_error=self.on_error)

    def texts_of(self) -> list[list[str]]:
        _ = self.loaded  # reads them
        return self.texts

    def class_names(self) -> list[str]:
        _ = self.loaded
        return self.names

    def captioned(self, rows: Rows, **how: Any) -> CaptionedPictures:
        crop = None if self.kept == self.resolution else self.resolution
        return super().captioned(rows, crop=crop, **how)

    def plain_train_set(self) -> BatchDataset:
        return self.captioned(self.loaded.train, centred=True, seed=self.seed)

    def held_out_set(self) -> BatchDataset:
        if not len(self.loaded.held_out):
            raise none_held_out(self.name, len(self.loaded.train))
        return self.captioned(self.loaded.held_out, centred=True, must_mismatch=False)

    def read_captions(self, path: Path) -> list[str]:
        """The lines of a caption file that are not blank; bytes that are no UTF-8 are replaced, as the published files have some."""
        try:
            lines = path.read_text("utf-8-sig", errors="replace").splitlines()
        except OSError as error:
            raise data_error(path, f"cannot be read: {error.strerror}. {self.layout()}") from error
        captions = [" ".join(line.split()) for line in lines if line.strip()]
        if not captions:
            raise data_error(path, "holds no caption: one a line is wanted, at least one")
        return captions

    def labels_of(self, classes: list[str]) -> Rows:
        """Numbers of the class names, sorted; ConfigError where data.classes is neither their number nor 0."""
        self.names = sorted(set(classes))
        number = {name: label for label, name in enumerate(self.names)}
        return np.array([number[name] for name in classes], dtype=np.int64)


def _some(names: list[str]) -> str:
    return ", ".join(map(printable, names[:NAMED_AT_MOST])) + (", ..." if len(names) > NAMED_AT_MOST else "")


class ClassSplitCaptions(CaptionFiles):
    """Pictures, a folder of texts CLASS/NAME.txt with one caption a line, and two lists of classes: to train with and to test
    with, none in both (zero-shot).

    pictures, texts, train_classes, test_classes: where they lie, relative to root.
    """

    def __init__(
        self, *, pictures: str, texts: str, train_classes: str, test_classes: str, **files: Any
    ) -> None:
        super().__init__(**files)
        self.places = {
            "pictures": pictures,
            "texts": texts,
            "train_classes": train_classes,
            "test_classes": test_classes,
        }

    def layout(self) -> str:
        return (
            f"Expected data.root/{self.places['pictures']}/ with the pictures, data.root/{self.places['texts']}/CLASS/NAME.txt with "
            f"the captions of NAME.jpg, one a line, and data.root/{self.places['train_classes']} and {self.places['test_classes']} "
            f"with the names of the classes, one a line. {self.source()}"
        )

    def source(self) -> str:
        """Where the files come from."""
        return ""

    def load(self) -> Loaded:
        root = self.folder()
        texts = self._texts(root / self.places["texts"])
        listing = list_pictures(root / self.places["pictures"])
        if not listing.files and not listing.bad:
            raise data_error(listing.root, f"holds no picture. {self.layout()}")
        self._check(listing, texts)
        parts = self._split(root, {path.parent.name for path in texts.values()})
        wanted = Listing(
            listing.root,
            tuple(file for file in listing.files if self._class(file, texts) in parts),
            listing.bad,
        )
        decoded = self.read_pictures(wanted)
        files = [texts[file.stem] for file in decoded.files]
        self.texts = [self.read_captions(file) for file in files]
        labels = self.labels_of([file.parent.name for file in files])
        held_out = np.array([parts[file.parent.name] == "test" for file in files])
        return Loaded(
            decoded.pictures,
            np.flatnonzero(~held_out),
            np.flatnonzero(held_out),
            self.labelled(labels, len(self.names)),
        )

    def unseen_set(self) -> BatchDataset:
        """Classes that are never trained on: all that is held out."""
        return self.held_out_set()

    @staticmethod
    def _class(file: Path, texts: dict[str, Path]) -> str:
        return texts[file.stem].parent.name

    def _texts(self, folder: Path) -> dict[str, Path]:
        """Caption files by the name of their picture."""
        if not folder.is_dir():
            raise data_error(folder, f"there is no such folder. {self.layout()}")
        files = sorted(folder.glob("*/*.txt"))
        if not files:
            raise data_error(folder, f"holds no CLASS/NAME.txt. {self.layout()}")
        found = {file.stem: file for file in files}
        if len(found) < len(files):
            twice = next(file for file in files if found[file.stem] != file)
            raise data_error(
                twice,
                f"has the name of {printable(found[twice.stem])}; each picture has one file of captions",
            )
        return found

    def _check(self, listing: Listing, texts: dict[str, Path]) -> None:
        if absent := [
            str(file.relative_to(listing.root)) for file in listing.files if file.stem not in texts
        ]:
            raise data_error(
                listing.root,
                f"{len(absent)} of {len(listing.files)} pictures have no file of captions: {_some(absent)}. {self.layout()}",
            )
        for file in listing.files:  # where pictures lie in folders of classes, both must agree
            own, said = file.parent.name, self._class(file, texts)
            if file.parent != listing.root and own != said:
                raise data_error(file, f"lies in {own}, but its captions in {said}; {self.layout()}")

    def _split(self, root: Path, classes: set[str]) -> dict[str, str]:
        """Class name -> train or test."""
        parts: dict[str, str] = {}
        for part in ("train", "test"):
            path = root / self.places[f"{part}_classes"]
            try:
                names = path.read_text("utf-8-sig").split()
            except (OSError, UnicodeDecodeError) as error:
                raise data_error(path, f"cannot be read ({error}). {self.layout()}") from error
            if not names:
                raise data_error(path, f"names no class. {self.layout()}")
            for name in names:
                if name not in classes:
                    raise DataError(
                        printable(path), f"names the class {name!r}, of which there are no captions"
                    )
                if parts.setdefault(name, part) != part:
                    raise DataError(
                        printable(path),
                        f"names the class {name!r}, which is to be trained with; the lists must differ",
                    )
        return parts


class Oxford102(ClassSplitCaptions):
    """8,189 photographs of flowers of 102 kinds (Nilsback and Zisserman 2008), ten captions each (Reed et al. 2016): 82 kinds to
    train with, 20 others held out."""

    def source(self) -> str:
        return (
            "Pictures: 102flowers.tgz from https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ ; captions and lists of classes: "
            "https://github.com/reedscot/icml2016"
        )


class CUB200(ClassSplitCaptions):
    """11,788 photographs of birds of 200 kinds (Wah et al. 2011), ten captions each (Reed et al. 2016): 150 kinds to train with,
    50 others held out."""

    def source(self) -> str:
        return (
            "Pictures: CUB_200_2011.tgz from https://www.vision.caltech.edu/datasets/cub_200_2011/ ; captions and lists of classes: "
            "https://github.com/reedscot/icml2016"
        )


class CaptionFolder(CaptionFiles):
    """Any folder of pictures, each with a NAME.txt beside it, one caption a line; with classes > 0 sub-folders are the classes.

    held_out: share of the pictures kept from training, evenly spread over the sorted files; 0 keeps none.
    """

    def __init__(self, *, held_out: float, **files: Any) -> None:
        super().__init__(**files)
        if not 0 <= held_out < 1:
            raise ConfigError(f"data.held_out is a share from 0 to below 1, got {held_out}")
        self.held_out = held_out

    def layout(self) -> str:
        return "Expected pictures under data.root and beside each NAME.jpg a NAME.txt with its captions, one a line."

    def load(self) -> Loaded:
        root = self.folder()
        listing = list_pictures(root)
        if not listing.files and not listing.bad:
            raise data_error(root, f"holds no picture. {self.layout()}")
        if absent := [
            str(file.relative_to(root)) for file in listing.files if not file.with_suffix(".txt").is_file()
        ]:
            raise data_error(
                root,
                f"{len(absent)} of {len(listing.files)} pictures have no .txt beside them: {_some(absent)}. {self.layout()}",
            )
        decoded = self.read_pictures(listing)
        self.texts = [self.read_captions(file.with_suffix(".txt")) for file in decoded.files]
        labels = self.labels_of([self._class(file, root) for file in decoded.files])
        held_out = spread(labels, round(self.held_out * len(labels)))
        train = np.setdiff1d(np.arange(len(labels)), held_out)
        return Loaded(decoded.pictures, train, held_out, self.labelled(labels, len(self.names)))

    def _class(self, file: Path, root: Path) -> str:
        parts = file.relative_to(root).parts
        if self.classes and len(parts) == 1:
            raise data_error(
                file, "lies in no class folder. Set data.classes=0 for pictures without classes."
            )
        return parts[0] if self.classes else ""
