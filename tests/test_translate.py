"""gan_zoo.translate: files and folders of any size, tiles, styles."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_zoo import loading
from gan_zoo.command import parse_arguments
from gan_zoo.config import compose, validate
from gan_zoo.gan import GAN
from gan_zoo.nn.label_maps import regions
from gan_zoo.run import train
from gan_zoo.schema import CheckpointError, ConfigError, DataError
from gan_zoo.styles import FILE, chosen, clusters
from gan_zoo.tiling import starts, tiled, whole
from gan_zoo.translate import _jobs, main, translated

SMALL = {
    "pix2pix": [
        "model.generator.unet.width=4",
        "model.generator.unet.levels=3",
        "model.discriminator.patch.width=4",
    ],
    "pix2pixhd": [
        "model.generator={width: 4, downs: 2, blocks: 1, enhancer_blocks: 1}",
        "model.encoder={width: 4, downs: 2}",
        "model.discriminator.width=4",
        "model.schedule={coarse: 0, enhancer: 0}",
    ],
}


def trained(folder: Path, model: str, *more: str, samples: int = 4) -> Path:
    options = [
        "data.resolution=32",
        "data.size=8",
        "data.held_out=4",
        "data.batch_size=4",
        "trainer.threads=1",
    ]
    files = [f"max_samples={samples}", "logger=csv", f"output_dir={folder}"]
    assert train(validate(compose([f"model={model}", *options, *SMALL[model], *files, *more]))) == 0
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    pictures = ["data=denoise", "data.held_out=0.5", "model.generator.unet.norm=batch"]
    return {name: trained(folder / name, name) for name in SMALL} | {
        "pictures": trained(folder / "pictures", "pix2pix", *pictures)
    }


def ids(path: Path, height: int, width: int, most: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, most, (-(-height // 8), -(-width // 8)), np.uint8)
    Image.fromarray(values.repeat(8, 0).repeat(8, 1)[:height, :width]).save(path)
    return path


def picture(path: Path, height: int, width: int, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(values).convert(mode).save(path)
    return path


# ---- tiles -------------------------------------------------------------------------------------------------


def of_a_picture(size: tuple[int, int]) -> dict[str, Tensor]:
    return {"condition": torch.arange(float(size[0] * size[1])).view(1, 1, *size)}


@pytest.mark.parametrize(
    ("side", "expected"), [(32, [0]), (40, [0, 8]), (100, [0, 23, 45, 68]), (33, [0, 1])]
)
def test_tiles_cover_a_side_and_overlap(side: int, expected: list[int]) -> None:
    assert starts(side, 32, 8) == expected
    for begin, end in itertools.pairwise(expected):
        assert begin + 32 - end >= 8


@pytest.mark.parametrize("size", [(16, 16), (37, 21), (70, 33), (16, 100)])
def test_tiling_a_map_that_acts_on_pixels_changes_nothing(size: tuple[int, int]) -> None:
    maps = of_a_picture(size)
    made = tiled(lambda part: part["condition"] * 2, maps, 8, 32, 8)
    torch.testing.assert_close(made, maps["condition"] * 2)


def test_no_tile_is_larger_than_asked_and_sides_are_multiples() -> None:
    seen: list[tuple[int, ...]] = []

    def make(part: dict[str, Tensor]) -> Tensor:
        seen.append(tuple(part["condition"].shape[-2:]))
        return part["condition"]

    tiled(make, of_a_picture((70, 33)), 8, 32, 8)
    assert set(seen) == {(32, 32)}
    seen.clear()
    whole(make, of_a_picture((37, 21)), 8)
    assert seen == [(40, 24)]


def test_an_overlap_as_wide_as_the_tile_that_the_network_takes_is_refused() -> None:
    maps = {"condition": torch.zeros(1, 1, 512, 300)}
    with pytest.raises(ConfigError, match="overlap=256 must be smaller than a tile, which is 256"):
        tiled(lambda part: part["condition"], maps, 256, tile=300, overlap=256)
    assert tiled(lambda part: part["condition"], maps, 256, tile=600, overlap=512).shape == (1, 1, 512, 300)


def test_neighbouring_tiles_fade_into_one_another_along_a_line() -> None:
    value = iter((0.0, 1.0))
    made = tiled(lambda part: torch.full((1, 1, 8, 8), next(value)), of_a_picture((8, 12)), 4, 8, 4)
    torch.testing.assert_close(made[0, 0, 0], torch.tensor([0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]))


# ---- files and folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pix2pix", "pix2pixhd", "pictures"])
def test_a_folder_of_any_sizes_becomes_pictures_of_the_same_sizes(
    name: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    make: Any = picture if name == "pictures" else ids
    sizes = {"a.png": (32, 32), "deep/b.png": (37, 61), "deep/c.png": (8, 100)}
    for file, (height, width) in sizes.items():
        make(tmp_path / "in" / file, height, width)
    written = main(
        run=str(runs[name]), input=str(tmp_path / "in"), output=str(tmp_path / "out"), tile=64, overlap=16
    )
    assert {str(path.relative_to(tmp_path / "out")): Image.open(path).size[::-1] for path in written} == sizes
    assert all(Image.open(path).mode == "RGB" for path in written)


def test_what_is_written_is_what_the_model_samples(runs: dict[str, Path], tmp_path: Path) -> None:
    source = ids(tmp_path / "a.png", 32, 32)
    (written,) = main(
        run=str(runs["pix2pix"]), input=str(source), output=str(tmp_path / "out"), seed=3, compare=True
    )
    assert Image.open(tmp_path / "out" / "a.compare.png").size == (32 + 2 + 32, 32)
    condition = torch.from_numpy(np.asarray(Image.open(source)).copy()).unsqueeze(0)
    sample = loading.load(runs["pix2pix"]).sample(1, seed=3, inputs={"condition": condition})
    expected = ((sample[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255)
    assert np.array_equal(np.asarray(Image.open(written)), expected.to(torch.uint8).numpy())


def test_one_file_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "in.png")
    (job,) = _jobs(tmp_path / "in.png", tmp_path / "sub/out.png", None)
    assert job.target == tmp_path / "sub/out.png"
    (job,) = _jobs(tmp_path / "in.png", tmp_path / "folder", None)
    assert job.target == tmp_path / "folder/in.png"


def test_the_command_line_reads_a_style_by_class() -> None:
    found = parse_arguments(["run=a", "input=b", "output=c", "styles=4", "style=[0, 2]"], main)
    assert (
        found["style"] == [0, 2]
        and parse_arguments(["run=a", "input=b", "output=c", "style=3"], main)["style"] == 3
    )


def test_files_that_cannot_be_used_are_named_before_or_when_they_are_read(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    run, out = str(runs["pix2pix"]), str(tmp_path / "out")
    with pytest.raises(DataError, match="class id 200"):
        Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / "bad.png")
        main(run=run, input=str(tmp_path / "bad.png"), output=out)
    with pytest.raises(DataError, match="one channel"):
        main(run=run, input=str(picture(tmp_path / "colour.png", 8, 8)), output=out)
    with pytest.raises(DataError, match="holds no picture"):
        (tmp_path / "empty").mkdir()
        main(run=run, input=str(tmp_path / "empty"), output=out)
    with pytest.raises(ConfigError, match=r"would both be"):
        for name in ("x.png", "x.bmp"):
            ids(tmp_path / "twins" / name, 8, 8)
        main(run=run, input=str(tmp_path / "twins"), output=out)
    with pytest.raises(ConfigError, match=r"x\.png would be overwritten"):
        main(run=run, input=str(tmp_path / "twins" / "x.png"), output=str(tmp_path / "twins"))
    with pytest.raises(DataError, match="instances of"):
        main(run=run, input=str(tmp_path / "twins" / "x.png"), output=out, instances=str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="smaller than tile"):
        main(run=run, input=str(tmp_path / "twins" / "x.png"), output=out, tile=8, overlap=8)


def test_a_file_that_cannot_be_read_keeps_none_of_the_others_back(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "c.png"):
        ids(tmp_path / "in" / name, 8, 8)
    (tmp_path / "in" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    with pytest.raises(
        DataError, match=r"(?s)1 of 3 files could not be read; the others are made:.*b\.png: cannot"
    ):
        main(run=str(runs["pix2pix"]), input=str(tmp_path / "in"), output=str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    assert "b.png" not in capsys.readouterr().out


def test_a_run_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    options = ["model=vanilla", "max_samples=0", "trainer.threads=1", f"output_dir={tmp_path / 'run'}"]
    assert train(validate(compose(options))) == 0
    with pytest.raises(CheckpointError, match="no checkpoint"):
        main(run=str(tmp_path / "run"), input=".", output="out")


def test_a_run_that_is_still_coarse_says_so(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "pix2pixhd", "model.schedule={coarse: 100, enhancer: 0}")
    with pytest.raises(ConfigError, match="coarse stage, after 4 samples"):
        main(run=str(run), input=str(ids(tmp_path / "a.png", 32, 32)), output=str(tmp_path / "out"))


# ---- styles ------------------------------------------------------------------------------------------------


def inputs_of(gan: GAN) -> dict[str, Tensor]:
    labels = torch.zeros(1, 40, 64, dtype=torch.uint8)
    labels[:, 20:, :] = 5
    return {"condition": labels, "instances": labels.int() * 1000}


def test_k_means_centres_come_with_the_commonest_first() -> None:
    torch.manual_seed(0)
    around = torch.tensor([[0.0, 0.0], [5.0, 5.0], [5.0, 5.0], [5.0, 5.0], [-5.0, 0.0], [-5.0, 0.0]])
    features = around.repeat(20, 1) + 0.01 * torch.randn(120, 2)
    centres = clusters(features, torch.full((120,), 1), 3, 3)
    torch.testing.assert_close(
        centres[1], torch.tensor([[5.0, 5.0], [-5.0, 0.0], [0.0, 0.0]]), atol=0.02, rtol=0
    )
    assert not centres[[0, 2]].any()
    few = clusters(torch.tensor([[1.0], [2.0], [2.0]]), torch.zeros(3, dtype=torch.int64), 1, 3)
    assert few.flatten().tolist() == [2, 1, 2]  # fewer than three differ: repeated


def test_a_chosen_style_fills_the_instances_of_its_class() -> None:
    centres = torch.arange(16.0).view(8, 2, 1)
    inputs = inputs_of(None)  # type: ignore[arg-type]
    maps = chosen(centres, inputs, [0, 0, 0, 0, 0, 1])
    assert maps.shape == (1, 1, 40, 64) and maps[0, 0, 0, 0] == 0 and maps[0, 0, -1, 0] == 11
    with pytest.raises(ConfigError, match=r"styles 0 to 1"):
        chosen(centres, inputs, 2)


def test_styles_change_the_picture_and_are_kept_beside_the_run(runs: dict[str, Path], tmp_path: Path) -> None:
    source, made = str(ids(tmp_path / "a.png", 32, 48)), []
    for style in (0, 1, 1):
        (path,) = main(
            run=str(runs["pix2pixhd"]),
            input=source,
            output=str(tmp_path / f"out{len(made)}"),
            styles=2,
            style=style,
        )
        made.append(np.asarray(Image.open(path)).astype(int))
    assert (runs["pix2pixhd"] / FILE).is_file()
    assert np.array_equal(made[1], made[2]) and np.abs(made[0] - made[1]).max() > 0
    with pytest.raises(ConfigError, match="has no styles"):
        main(run=str(runs["pix2pix"]), input=source, output=str(tmp_path / "out"), styles=2)


def test_tiles_of_one_picture_share_the_style_of_an_instance(runs: dict[str, Path]) -> None:
    gan = loading.load(runs["pix2pixhd"])
    encoder: Any = gan.generator.encoder
    encoder.bank.uniform_(-1, 1), encoder.filled.fill_(256)
    seen: list[Tensor] = []
    gan.generator.network.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, -3:]))  # type: ignore[union-attr]
    translated(gan, inputs_of(gan), tile=32, overlap=8, seed=1)
    assert len(seen) > 1
    sky = torch.stack([part[0, :, 0, 0] for part in seen[: len(seen) // 2]])
    torch.testing.assert_close(sky, sky[:1].expand_as(sky))


def test_instances_without_a_map_are_the_connected_areas(runs: dict[str, Path], tmp_path: Path) -> None:
    from gan_zoo.translate import Job, _read

    labels = np.zeros((32, 32), np.uint8)
    labels[4:8, 4:8] = labels[20:24, 4:8] = 5
    Image.fromarray(labels).save(tmp_path / "a.png")
    gan = loading.load(runs["pix2pixhd"])
    found = _read(gan, Job(tmp_path / "a.png", None, tmp_path / "b.png"), 10**6)
    assert regions(found["instances"])[1] == 3 and found["instances"].dtype == torch.int32
