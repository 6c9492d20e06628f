"""Trains every preset for some steps on the embedded twin of its data, and puts the last grids on one sheet.

    python experiments/presets/run.py steps=300 seconds=240 output=DIR

Each preset runs as its own command would, with its own batch size, for `steps` batches or until `seconds` have passed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw

DIGITS, COLOUR, FACES = (
    "data=digits data.resolution=28",
    "data=stacked_digits",
    "data=avatars data.resolution=64",
)
TWINS = {
    "course_0": FACES,
    "course_1": DIGITS,
    "course_2a": DIGITS,
    "course_2b": COLOUR,
    "course_2c": DIGITS,
    "course_4_mlp": DIGITS,
    "course_4_dcgan": DIGITS,
    "book_3": COLOUR,
    "book_5_wgan": COLOUR,
    "book_5_wgan_gp": COLOUR,
    "vanilla_paper": DIGITS,
    "cgan_paper": DIGITS,
    "cgan_dcgan": DIGITS,
    "acgan": "data=digits",
    "dcgan_port": FACES,
    "dcgan_paper": FACES,
    "wgan_gp_cifar10": COLOUR,
    "wgan_gp_toy": "",
}


def train(preset: str, twin: str, steps: int, seconds: int, folder: Path) -> None:
    """One preset, ended by SIGTERM when its time is over: the run then saves and draws what it has."""
    composed = subprocess.run(
        [sys.executable, "-m", "gan_zoo.train", f"experiment={preset}", *twin.split(), "--cfg", "job"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    batch = next(
        int(line.split(":")[1]) for line in composed.splitlines() if line.startswith("  batch_size:")
    )
    command = [
        sys.executable,
        "-m",
        "gan_zoo.train",
        f"experiment={preset}",
        *twin.split(),
        f"max_samples={steps * batch}",
        f"sample_every={steps * batch}",
        "checkpoint_every=1_000_000_000",
        f"log_every={10 * batch}",
        "logger=csv",
        f"output_dir={folder / preset}",
        f"trainer.threads={os.environ.get('OMP_NUM_THREADS', 1)}",
    ]
    with (
        open(folder / f"{preset}.log", "w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)


def row(preset: str, twin: str, folder: Path) -> str:
    file = folder / preset / "summary.json"
    if not file.is_file():
        return f"| {preset} | {twin} | did not start: see its log | | | |"
    summary = json.loads(file.read_text())
    counts, figures = summary["parameters"], summary["figures"]
    losses = ", ".join(
        f"{player[0].upper()} {figures.get(f'{player}/total', float('nan')):.3f}"
        for player in ("discriminator", "generator")
    )
    return (
        f"| {preset} | {twin.replace('data=', '').replace('data.', '')} | {counts['generator']:,} / {counts['discriminator']:,} | "
        f"{summary['samples_seen']:,} | {summary['wall_seconds']:.0f} | {losses} |"
    )


def sheet(folder: Path) -> None:
    """The last grid of each preset, named, four in a row."""
    tiles = []
    for preset in TWINS:
        pictures = sorted((folder / preset / "samples").glob("0*.png"))
        if pictures:
            tile = Image.new("RGB", (300, 322), "white")
            tile.paste(
                Image.open(pictures[-1]).convert("RGB").resize((296, 296), Image.Resampling.BOX), (2, 24)
            )
            ImageDraw.Draw(tile).text((6, 6), preset, fill="black")
            tiles.append(tile)
    if tiles:
        page = Image.new("RGB", (4 * 300, -(-len(tiles) // 4) * 322), "white")
        for index, tile in enumerate(tiles):
            page.paste(tile, (index % 4 * 300, index // 4 * 322))
        page.quantize(128).save(folder / "sheet.png", optimize=True)


def main(arguments: list[str]) -> None:
    chosen = dict(argument.split("=", 1) for argument in arguments)
    folder = Path(chosen.get("output", "runs/presets"))
    folder.mkdir(parents=True, exist_ok=True)
    wanted = chosen.get("presets", ",".join(TWINS)).split(",")
    for preset in wanted:
        if not (folder / preset / "summary.json").is_file():
            train(
                preset, TWINS[preset], int(chosen.get("steps", 300)), int(chosen.get("seconds", 240)), folder
            )
        print(row(preset, TWINS[preset], folder), flush=True)
    head = "| preset | twin | parameters G / D | samples seen | seconds | last losses |\n|---|---|---|---|---|---|\n"
    (folder / "table.md").write_text(
        head + "\n".join(row(preset, twin, folder) for preset, twin in TWINS.items()) + "\n"
    )
    sheet(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
