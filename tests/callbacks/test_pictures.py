"""samples/: when a picture is made, of what, and that a run with pictures is the run without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor, nn

from gan_zoo import media
from gan_zoo.callbacks.pictures import Pictures, fitting, real_samples, view_of
from gan_zoo.callbacks.recorder import Watcher
from gan_zoo.data.stream import DataModule
from gan_zoo.gan import GAN, Batch, Judgement
from gan_zoo.schema import ConfigError

from ..games import ADAM, SEPARATE, CloudData, play, points, trainer
from .offline import wandb_records
from .test_recorder import Restored, StateAt
from .test_resolutions import play as grow


class Squares:
    """Pictures [1, 8, 8] of uint8: item i is one grey level, 2 i, and of class i % classes."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __len__(self) -> int:
        return 120

    def __getitems__(self, keys: Any) -> Batch:
        index = torch.tensor([index for index, _, _ in keys])
        side = keys[0][2]
        batch = {"real": (2 * index).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, side, side).contiguous()}
        return batch | ({"condition": index % self.classes} if self.classes else {})


class SquareData(DataModule):
    def __init__(self, classes: int = 0) -> None:
        super().__init__(
            name="squares", resolution=8, channels=1, classes=classes, modality="image", batch_size=16
        )

    def train_set(self) -> Squares:
        return Squares(self.classes)

    def conditions(self) -> Tensor | None:
        return torch.arange(120) % self.classes if self.classes else None


class Painter(GAN):
    """An MLP with batch norm and dropout, whose buffers and noise a careless sampler would disturb."""

    def __init__(self, classes: int = 0, **play: Any) -> None:
        super().__init__(**play)
        self.classes = classes
        self.generator = nn.Sequential(
            nn.Linear(4 + classes, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(32, 64),
            nn.Tanh(),
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)
        )

    def generate(self, batch: Batch) -> Tensor:
        z = batch["latent"]
        if self.classes:
            z = torch.cat([z, nn.functional.one_hot(batch["condition"], self.classes)], 1)
        return self.generator(z).view(-1, 1, 8, 8)

    def discriminate(self, sample: Tensor, batch: Batch) -> Judgement:
        return Judgement(self.discriminator(sample).squeeze(1))


def painter(**settings: Any) -> Painter:
    torch.manual_seed(0)
    play = {
        "loss": {"name": "non_saturating", "weights": SEPARATE},
        "latent": {"size": 4},
        "optimizer": {"generator": ADAM, "discriminator": ADAM},
    }
    return Painter(**{**play, **settings})


def paint(gan: GAN, steps: int, *callbacks: Any, **settings: Any) -> None:
    data = SquareData(getattr(gan, "classes", 0))
    data.begin(gan.samples_seen, None)
    trainer(gan.samples_seen + steps * 16, *callbacks, **settings).fit(gan, data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "samples").iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in [*(folder / "samples").iterdir(), folder / "samples.gif"]
    }


def same_state(a: GAN, b: GAN) -> bool:
    there = b.state_dict()
    return all(
        value == there[name] if isinstance(value, dict) else torch.equal(value, there[name])
        for name, value in a.state_dict().items()
    )


def test_pictures_before_the_first_step_at_each_multiple_and_at_the_end(tmp_path: Path) -> None:
    paint(painter(), 7, Pictures(tmp_path, 40))  # steps end at 16, 32, 48, 64, 80, 96, 112
    assert names(tmp_path) == [
        "0000000000.png",
        "0000000048.png",
        "0000000080.png",
        "0000000112.png",
        "real.png",
    ]
    with Image.open(tmp_path / "samples.gif") as film:
        assert film.n_frames == 4


def test_the_last_regular_picture_is_not_made_twice(tmp_path: Path) -> None:
    paint(painter(), 5, Pictures(tmp_path, 80))
    assert names(tmp_path) == ["0000000000.png", "0000000080.png", "real.png"]


def test_a_picture_is_what_sample_gives_for_the_seed(tmp_path: Path) -> None:
    gan = painter(ema_half_life=50.0)
    paint(gan, 4, Pictures(tmp_path, 10**6, n=16, seed=7))
    with Image.open(tmp_path / "samples" / "0000000064.png") as opened:
        shown = np.asarray(opened)
    assert np.array_equal(shown, media.grid(gan.sample(16, seed=7))[:, :, 0])
    assert not np.array_equal(shown, media.grid(gan.sample(16, seed=8))[:, :, 0])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_statistics": True},
        {"ema_half_life": 50.0},
        {"ema_half_life": 50.0, "batch_statistics": True},
    ],
)
def test_pictures_do_not_change_the_game(settings: dict[str, Any], tmp_path: Path) -> None:
    watched, alone = painter(**settings), painter(**settings)
    paint(watched, 6, Pictures(tmp_path, 16))
    paint(alone, 6)
    assert same_state(watched, alone) and watched.training and watched.generator.training


@pytest.mark.parametrize("at", [16, 48, 64])
def test_a_resumed_run_leaves_the_same_files(at: int, tmp_path: Path) -> None:
    paint(painter(), 8, Pictures(tmp_path / "whole", 40))
    killed = Pictures(tmp_path / "cut", 40)
    saved = StateAt(at, killed)
    paint(painter(), 6, killed, saved)  # ends at 96, whose last picture an uninterrupted run does not have
    assert "0000000096.png" in names(tmp_path / "cut")
    (tmp_path / "cut" / "samples" / "0000000080.png").write_bytes(b"half a picture")
    again, gan = Pictures(tmp_path / "cut", 40), painter()
    data = SquareData()
    data.begin(at, None)
    gan.set_extra_state(saved.found["gan"]["_extra_state"])
    trainer(128, again, Restored(saved.found, again)).fit(gan, data)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_model_of_classes_shows_a_row_a_class_and_a_column_a_latent(tmp_path: Path) -> None:
    gan = painter(classes=3)
    paint(gan, 3, Pictures(tmp_path, 10**6, n=16, seed=2))
    with Image.open(tmp_path / "samples" / "0000000048.png") as opened:
        shown = np.asarray(opened)
    latent = gan.latent.fixed(4, 2)
    for row in range(3):
        expected = media.as_bytes(gan.sample(4, condition=row, latent=latent))[:, :, :, 0]
        for column in range(4):
            top, left = row * (16 * 8 + 2), column * (16 * 8 + 2)
            assert np.array_equal(shown[top : top + 128 : 16, left : left + 128 : 16], expected[column])


def test_rows_of_classes_are_few_enough_to_look_at() -> None:
    for classes, rows in ((1, 1), (10, 10), (16, 16), (17, 8), (1000, 8)):
        view = view_of(painter(classes=classes), SquareData(classes), 64, 0)
        assert view.n == rows * 8 and view.condition is not None and len(view.condition.unique()) == rows
    assert view_of(painter(), SquareData(), 50, 0).n == 50


def test_real_ones_stand_in_the_rows_of_their_class() -> None:
    gan, data = painter(classes=3), SquareData(3)
    real = real_samples(gan, data, view_of(gan, data, 16, 0), 0)
    levels = ((real[:, 0, 0, 0] + 1) * 127.5).round().int() // 2  # the item's index
    assert real.shape == (12, 1, 8, 8) and (levels % 3).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(set(levels.tolist())) == 12


def test_real_ones_come_twice_only_when_there_are_too_few() -> None:
    gan, data = painter(), SquareData()
    real = real_samples(gan, data, view_of(gan, data, 240, 0), 0)
    assert sorted((((real[:, 0, 0, 0] + 1) * 127.5).round().int() // 2).tolist()) == sorted(
        [*range(120), *range(120)]
    )


def test_the_real_grid_holds_pictures_of_the_data(tmp_path: Path) -> None:
    paint(painter(), 1, Pictures(tmp_path, 16, n=4))
    with Image.open(tmp_path / "samples" / "real.png") as opened:
        levels = {int(np.asarray(opened)[y, x]) for y in (10, 500) for x in (10, 500)}
    assert len(levels) == 4 and all(level % 2 == 0 and level < 240 for level in levels)


def test_points_are_scattered(tmp_path: Path) -> None:
    play(points(), 3, Pictures(tmp_path, 32))
    assert names(tmp_path) == ["0000000000.png", "0000000032.png", "0000000048.png", "real.png"]
    with Image.open(tmp_path / "samples" / "0000000032.png") as opened:
        assert opened.size == (560, 560)


def test_watchers_see_regular_pictures_alone(tmp_path: Path) -> None:
    class Spy(Watcher):
        seen: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []  # noqa: RUF012

        def on_samples(self, trainer: Any, gan: GAN, samples: Any, real: Tensor | None) -> None:
            assert real is not None
            self.seen.append((gan.samples_seen, tuple(samples.shape), tuple(real.shape)))

    paint(painter(), 7, Pictures(tmp_path, 40, n=9), Spy())
    assert Spy.seen == [(at, (9, 1, 8, 8), (9, 1, 8, 8)) for at in (0, 48, 80)]


def test_a_broken_off_run_has_its_film(tmp_path: Path) -> None:
    class Break(Watcher):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if pl_module.samples_seen == 64:
                raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        paint(painter(), 7, Pictures(tmp_path, 16), Break())
    with Image.open(tmp_path / "samples.gif") as film:
        assert film.n_frames == 5


def test_tensorboard_shows_the_same_pixels(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    paint(
        painter(),
        4,
        Pictures(tmp_path, 32),
        logger=TensorBoardLogger(tmp_path, name="tensorboard", version=""),
    )
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    events = found.Images("samples")
    assert [event.step for event in events] == [0, 32, 64] and [
        event.step for event in found.Images("real")
    ] == [0]
    (tmp_path / "back.png").write_bytes(events[-1].encoded_image_string)
    with (
        Image.open(tmp_path / "back.png") as shown,
        Image.open(tmp_path / "samples" / "0000000064.png") as file,
    ):
        assert np.array_equal(np.asarray(shown.convert("L")), np.asarray(file)) and np.asarray(file).std() > 0


def test_wandb_shows_the_same_pixels_and_not_black(tmp_path: Path) -> None:
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    paint(
        painter(),
        2,
        Pictures(tmp_path, 32),
        logger=WandbLogger(save_dir=tmp_path, offline=True, project="test"),
    )
    wandb.finish()
    rows = [row for row in wandb_records(tmp_path)["history"] if "samples/path" in row]
    assert [row["samples_seen"] for row in rows] == [0, 32]
    (file,) = tmp_path.rglob(f"files/{rows[-1]['samples/path']}")
    with Image.open(file) as shown, Image.open(tmp_path / "samples" / "0000000032.png") as expected:
        assert (
            np.array_equal(np.asarray(shown.convert("L")), np.asarray(expected))
            and np.asarray(expected).std() > 0
        )


def test_settings_that_cannot_be_right_are_refused(tmp_path: Path) -> None:
    for settings in ({"every": 0}, {"every": 5, "n": 0}):
        with pytest.raises(ConfigError, match="every >= 1"):
            Pictures(tmp_path, **settings)
    with pytest.raises(ConfigError, match="data module"):
        trainer(16, Pictures(tmp_path, 16)).fit(points(), CloudData(16).train_dataloader())


def test_sound_is_written_as_wav_and_spectrogram_and_sent_to_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from gan_zoo import loading
    from gan_zoo.config import compose, validate
    from gan_zoo.run import data_module

    small = [
        "data.resolution=1024",
        "data.batch_size=2",
        "data.speakers=1",
        "data.utterances=1",
        "data.noise_seconds=4",
    ]
    config = validate(compose(["model=segan_plus", *small, "model.generator.channels=[2,2,2,2,2]", "model.latent.size=2",
                               "model.discriminator.channels=[2,2,2,2,2]", "model.discriminator.hidden=[2]"]))  # fmt: skip
    gan, data = loading.build(config), data_module(config)
    data.begin(0, None)
    logger = TensorBoardLogger(tmp_path, name="tensorboard", version="")
    trainer(4, Pictures(tmp_path, every=4), logger=[logger]).fit(gan, data)
    names = {path.name for path in (tmp_path / "samples").iterdir()}
    assert names == {
        f"{stem}{suffix}" for stem in ("0000000000", "0000000004", "real") for suffix in (".wav", ".png")
    } | {"real_noisy.wav"}
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"audio": 0}).Reload()
    assert set(events.Tags()["audio"]) == {"samples", "real"}
    assert {"samples_spectrogram", "real_spectrogram"} <= set(events.Tags()["images"])
    assert events.Audio("samples")[-1].sample_rate == 16_000


def test_a_run_that_grows_is_shown_at_its_final_size_and_at_that_of_the_moment(tmp_path: Path) -> None:
    """4 px until 20 samples, 8 px until 60, then 16 px, which is the final side."""
    grow(tmp_path, 90, Pictures(tmp_path, 20, n=9))
    folder = tmp_path / "samples"
    shown = ["0000000000.png", "0000000020.png", "0000000040.png", "0000000060.png"]
    assert names(tmp_path) == [*shown, "0000000080.png", "0000000090.png", "current", "real.png"]
    assert sorted(path.name for path in (folder / "current").iterdir()) == [*shown, "real.png"]
    side = 3 * 16 * 11 + 2 * media.pictures.GAP
    with Image.open(tmp_path / "samples.gif") as film:
        assert film.size == (side, side) and film.n_frames == 6
    for path in folder.glob("*.png"):
        with Image.open(path) as opened:
            assert opened.size == (side, side), path
    small = Image.open(folder / "current" / shown[1])
    assert small.size == (3 * 4 * 43 + 4, 3 * 4 * 43 + 4)
    large = np.asarray(Image.open(folder / shown[1]))
    assert np.array_equal(
        large[5 : 16 * 11 : 44, 5 : 16 * 11 : 44], np.asarray(small)[5 : 4 * 43 : 43, 5 : 4 * 43 : 43]
    )


def test_a_resumed_run_that_grows_leaves_the_same_files(tmp_path: Path) -> None:
    def all_of(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "samples").rglob("*.png")}

    grow(tmp_path / "whole", 80, Pictures(tmp_path / "whole", 20, n=4))
    for stop in (50, 80):  # 50 is no regular moment: its picture goes again
        grow(tmp_path / "cut", stop, Pictures(tmp_path / "cut", 20, n=4))
    assert all_of(tmp_path / "cut") == all_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("modality", "resolution", "width", "n"),
    [("image", 256, None, 64), ("image", 1024, None, 9), ("pair", 512, 1024, 12), ("pair", 1024, 2048, 4), ("audio", 16384, None, 64)],
)  # fmt: skip
def test_large_pictures_are_few_enough_to_look_at(
    modality: str, resolution: int, width: int | None, n: int
) -> None:
    data = SquareData()
    data.modality, data.resolution = modality, resolution
    if width:
        data.width = width
    assert fitting(data, 12 if modality == "pair" else 64) == n
