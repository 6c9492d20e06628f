"""Trains every preset for some steps on the embedded twin of its data and puts the last grids on one sheet.

    python experiments/presets/run.py steps=300 seconds=240 output=DIR

Each preset runs as its own command would, for `steps` batches or until `seconds` have passed, in smaller batches where its
own take seconds of a core.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw

GREY, COLOUR, FACES = (
    "data=digits data.resolution=28",
    "data=stacked_digits",
    "data=avatars data.resolution=64",
)
SIDE = 220  # of a picture on the sheet, in pixels
FEW = " data.batch_size=16"
SPEECH, LINES = "data=speech data.batch_size=4", "data=python_manual ~data.most"
# A growing preset goes through all its sizes within the 300 steps, not its tens of thousands of samples a size.
SMALL_GROWTH = "data=avatars data.resolution=32 model.schedule.stable=600 model.schedule.fade=600"
TWINS = {
    "course_0": FACES + FEW,
    "course_1": GREY + FEW,
    "course_2a": GREY + FEW,
    "course_2b": COLOUR + FEW,
    "course_2c": GREY + FEW,
    "course_4_mlp": GREY,
    "course_4_dcgan": GREY,
    "book_3": COLOUR + FEW,
    "book_5_wgan": COLOUR + FEW,
    "book_5_wgan_gp": COLOUR + FEW,
    "book_5_i2i": "",
    "book_7": SMALL_GROWTH,
    "book_8_char": LINES,
    "book_8_word": LINES,
    "book_9": "data.batch_size=16",
    "book_10": SPEECH,
    "vanilla_paper": GREY,
    "cgan_paper": GREY,
    "cgan_dcgan": GREY + FEW,
    "acgan": "",
    "dcgan_plain": "",
    "dcgan_port": FACES + FEW,
    "dcgan_paper": FACES + FEW,
    "wgan_gp_cifar10": COLOUR + FEW,
    "wgan_gp_toy": "",
    "pggan_cifar10": SMALL_GROWTH,
    "pggan_celeba": SMALL_GROWTH.replace("32", "128"),
    "pggan_paper": SMALL_GROWTH.replace("32", "1024") + " data.size=64 data.held_out=16",
    "pggan_conditional": "",
    "pggan_lsgan": "",
    "pix2pix_paper": "data=streets data.resolution=256",
    "pix2pixhd_paper": "data=streets data.resolution=128 data.width=256 model.vgg=null model.weights.generator.perceptual=0.0",
    "segan_paper": SPEECH,
    "segan_plus_paper": SPEECH,
    "segan_plus_modern": "",
    "text_to_image_paper": "data=flowers model.text={source:captions,size:1024,encoder:{name:words}}" + FEW,
    "text_to_image_df_gan": "data.batch_size=16",
    "char_lm_paper": "data=python_manual",
    "text_grammar": "",
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


def drawn(samples: Path) -> Image.Image | None:
    """The last of a run's samples: its picture, or its first lines."""
    pictures, texts = sorted(samples.glob("0*.png")), sorted(samples.glob("0*.txt"))
    if pictures:
        return Image.open(pictures[-1]).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    if not texts:
        return None
    page = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(page).text((2, 2), "\n".join(texts[-1].read_text().splitlines()[:20]), fill="black")
    return page


def sheet(folder: Path) -> None:
    """What each preset drew last, named, five in a row."""
    made = {preset: page for preset in TWINS if (page := drawn(folder / preset / "samples"))}
    whole = Image.new("RGB", (5 * (SIDE + 4), -(-len(made) // 5) * (SIDE + 26)), "white")
    for index, (preset, page) in enumerate(made.items()):
        left, top = index % 5 * (SIDE + 4), index // 5 * (SIDE + 26)
        ImageDraw.Draw(whole).text((left + 6, top + 6), preset, fill="black")
        whole.paste(page, (left + 2, top + 24))
    if made:
        whole.quantize(64).save(folder / "sheet.png", optimize=True)


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
