"""What a user can get wrong gets one message, never a stack trace; docs/bad_input.md is made of these messages.

GAN_ZOO_UPDATE_DOCS=1 pytest tests/test_bad_input.py        writes the page anew
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gan_zoo
from gan_zoo import (
    checkpoint,
    embed_captions,
    enhance,
    export,
    loading,
    plain_yaml,
    run,
    sample,
    train_text_encoder,
    translate,
)
from gan_zoo.command import parse_arguments
from gan_zoo.config import compose, validate
from gan_zoo.data.pictures import Reading
from gan_zoo.devices import refuse_absent

from .data.test_caption_files import BAD_OXFORD, write_oxford
from .data.test_images import BAD_MNIST, write_mnist
from .data.test_pairs import BAD_PAIRS
from .data.test_pictures import REFUSED
from .strangers import FIRST, GONE, MISTAKES, SMALL, Stranger, changed, make_run, safetensors
from .test_checkpoint import Eval
from .test_config import BAD_COMMAND_LINES

PAGE = Path(__file__).parent.parent / "docs" / "bad_input.md"
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning")

INTRODUCTION = """# Bad input, and what is said of it

Every line below is a test: `tests/test_bad_input.py` makes the bad thing, runs the command and finds this message, never a stack
trace. On the command line it is printed after `error: `, and the exit code is 2; `debug=true` shows where it came from. From Python
it is a `ConfigError`, `DataError` or `CheckpointError` of `gan_zoo.schema`, each a `ValueError`. Paths are shortened; `...` stands
for words of the operating system or of another library. The page is written by
`GAN_ZOO_UPDATE_DOCS=1 pytest tests/test_bad_input.py`.
"""

# Words that come from elsewhere and change with its version, and what the page has in their place.
FOREIGN = [
    (r"(cannot be decoded: ).*", r"\1..."),
    (r"(cannot be read \().*?(\); remove)", r"\1...\2"),
    (r"(can be read \().*?(\); get it again)", r"\1...\2"),
    (r"(cannot be used here \().*?(\); use cpu)", r"\1...\2"),
    (r"(no sound file that can be read \().*?(\); remove)", r"\1...\2"),
    (r"in a file of \d+", "in a file of N"),
    (r"(no plain YAML \().*(\))", r"\1...\2"),
    (r"(not an export that can be read: )(?:Expecting|Unterminated|Extra).*", r"\1..."),
    (r"(more than [\d,]+ pixels )\(.*\)", r"\1(...)"),
    (r"there are [\w./]+(, [\w./]+){2,}", "there are ..."),  # grows with the zoo
]


@dataclass(frozen=True)
class Case:
    """One mistake: where it stands on the page, what it is in a user's words, and how it is made."""

    section: str
    what: str
    make: Callable[[Path, Path], Any]  # (an empty folder, a good run) -> raises
    parts: tuple[str, ...] = ()


def train(*overrides: str) -> Callable[[Path, Path], Any]:
    """The command line, in which FOLDER and RUN are the folders, up to the model and the data that it asks for."""

    def make(folder: Path, good: Path) -> Any:
        texts = [text.replace("FOLDER", str(folder)).replace("RUN", str(good)) for text in overrides]
        config = validate(compose(texts))
        refuse_absent(config)
        return loading.build(config), run.data_module(config)

    return make


def line(*overrides: str, parts: tuple[str, ...] = ()) -> Case:
    return Case("Settings that do not go together", f"`{' '.join(overrides)}`", train(*overrides), parts)


def command_line(words: list[str], parts: list[str]) -> Case:
    return Case(
        "Command lines of `gan_zoo.train`",
        f"`{' '.join(words)}`",
        lambda *_: validate(compose(words)),
        tuple(parts),
    )


def devices(gpus: int, *overrides: str, parts: tuple[str, ...] = ()) -> Case:
    """A command line on a machine with so many GPUs."""

    def make(folder: Path, good: Path) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
            patch.setattr(torch.cuda, "device_count", lambda: gpus)
            patch.setattr(torch.backends.mps, "is_available", lambda: False)
            patch.setattr(run.os, "cpu_count", lambda: 2)
            refuse_absent(validate(compose(overrides)))

    where = f"with {gpus} GPUs" if gpus else "without a GPU"
    return Case("Settings that do not go together", f"`{' '.join(overrides)}` {where}", make, parts)


def arguments(main: Any, *argv: str, parts: tuple[str, ...] = ()) -> Case:
    """A key=value command, run when its arguments can be read."""

    def make(folder: Path, good: Path) -> Any:
        return main(
            **parse_arguments(
                [text.replace("RUN", str(good)).replace("FOLDER", str(folder)) for text in argv],
                main.__wrapped__,
            )
        )

    name = main.__module__.removeprefix("gan_zoo.")
    return Case("Arguments of the other commands", f"`{' '.join([name, *argv])}`", make, parts)


def picture(name: str, content: bytes, reason: str) -> Case:
    def make(folder: Path, _: Path) -> Any:
        (folder / name).write_bytes(content)
        Reading(8, 3)(folder / name)

    return Case("Pictures", f"`{name}`", make)


def mnist(case: str) -> Case:
    name, change, _ = BAD_MNIST[case]

    def make(folder: Path, good: Path) -> Any:
        raw = folder / "MNIST" / "raw"
        write_mnist(raw)
        content = (raw / name).read_bytes()
        (raw / name).unlink()
        if change:
            (raw / name).write_bytes(change(content))
        train("data=mnist", "data.root=FOLDER")(folder, good)

    return Case("Data folders", f"MNIST, a file that is wrong: {case}", make, ("MNIST",))


def oxford(what: str, spoil: Callable[[Path], None], said: str) -> Case:
    """A small copy of Oxford-102 with captions, in which something is wrong."""

    def make(folder: Path, good: Path) -> Any:
        write_oxford(folder)
        spoil(folder)
        settings = ("data.classes=3", "data.resolution=8", "data.cache=FOLDER")
        train("model=text_to_image", "data=oxford_102", "data.root=FOLDER", *settings)(folder, good)

    return Case("Captioned pictures", f"Oxford-102: {what}", make, (said.replace("\\", ""),))


def captioned(*overrides: str, parts: tuple[str, ...]) -> Case:
    make = train("model=text_to_image", *overrides)
    return Case("Captioned pictures", f"`{' '.join(overrides)}`", make, parts)


def pairs(case: str) -> Case:
    name, write, _, parts = BAD_PAIRS[case]

    def make(folder: Path, good: Path) -> Any:
        (folder / "set").mkdir()
        write(folder / "set")
        train(f"data={name}", "data.root=FOLDER/set", "data.resolution=16", "data.width=24", "model=pix2pix")(
            folder, good
        )

    return Case("Data folders", f"`data={name}`, {case}", make, parts)


def pictures(
    what: str, names: list[str], *overrides: str, parts: tuple[str, ...] = (), side: int = 16
) -> Case:
    """A folder of pictures of one's own; a name that ends in ! is a file of text."""

    def make(folder: Path, good: Path) -> Any:
        for name in names:
            path = folder / "pictures" / name.rstrip("!")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((side, side), 9, np.uint8)).save(path)
            if name.endswith("!"):
                path.write_text("no picture at all")
        texts = (
            "data=folder",
            "data.root=FOLDER/pictures",
            "data.resolution=8",
            "data.channels=1",
            *overrides,
        )
        train(*texts)(folder, good)

    return Case("Data folders", what, make, parts)


def spoilt(
    what: str,
    spoil: Callable[[Stranger], Any],
    *parts: str,
    section: str = "Checkpoints, exports and run directories",
) -> Case:
    """A copy of a good run, to which something is done; `spoil` ends with what a user would do."""

    def make(folder: Path, good: Path) -> Any:
        spoil(Stranger(good, folder))

    return Case(section, what, make, parts)


def holding(place: str, value: Any) -> Callable[[Stranger], Any]:
    def spoil(stranger: Stranger) -> Any:
        content = checkpoint.read(stranger.checkpoint)
        name = next(name for name in content["state"] if name.endswith("weight")).replace(".", "/")
        stranger.hold(changed(content, place.replace(FIRST, name), value))
        gan_zoo.load(stranger.run)

    return spoil


def written(file: str, data: bytes, *overrides: str) -> Callable[[Stranger], Any]:
    """A file of the run with other bytes, then loaded, or resumed where it is config.yaml."""

    def spoil(stranger: Stranger) -> Any:
        (stranger.run / file).write_bytes(data)
        if file == "config.yaml":
            return stranger.resume(*overrides)
        return gan_zoo.load(stranger.export if file.startswith("export") else stranger.run / file)

    return spoil


def cut(stranger: Stranger) -> Any:
    stranger.checkpoint.write_bytes(stranger.checkpoint.read_bytes()[:-500])
    return gan_zoo.load(stranger.checkpoint)


def all_cut(stranger: Stranger) -> Any:
    for path in (stranger.run / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-500])
    return stranger.resume("max_samples=24")


def flipped(stranger: Stranger) -> Any:
    data = bytearray(stranger.checkpoint.read_bytes())
    data[1000] ^= 1
    stranger.checkpoint.write_bytes(data)
    return gan_zoo.load(stranger.checkpoint)


def without(name: str) -> Callable[[Stranger], Any]:
    def spoil(stranger: Stranger) -> Any:
        path = stranger.run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return gan_zoo.load(path.parent) if name.startswith("export") else stranger.resume("max_samples=24")

    return spoil


def setting(place: str, value: Any) -> Callable[[Stranger], Any]:
    def spoil(stranger: Stranger) -> Any:
        stranger.settings(place, value)
        return stranger.resume()

    return spoil


def foreign(stranger: Stranger) -> Any:
    checkpoint.write(stranger.checkpoint, {"state_dict": {}})
    return gan_zoo.load(stranger.checkpoint)


def described(place: str, value: Any) -> Callable[[Stranger], Any]:
    def spoil(stranger: Stranger) -> Any:
        stranger.card(place, value)
        return gan_zoo.load(stranger.export)

    return spoil


def begun_elsewhere(stranger: Stranger) -> Any:
    """init_from weights of other names."""
    content = checkpoint.read(stranger.checkpoint)
    renamed = {
        name if name == "_extra_state" else f"module.{name}": value
        for name, value in content["state"].items()
    }
    stranger.hold({**content, "state": renamed})
    return stranger.start_from(stranger.run)


def second_run(stranger: Stranger) -> Any:
    return run.new_directory({**compose(), "output_dir": str(stranger.run)})


def running_still(stranger: Stranger) -> Any:
    with run.owned(stranger.run):
        (stranger.run / ".owner").write_text("4321 on another")
        with run.owned(stranger.run):
            raise AssertionError("two runs in one directory")


def at(path: str) -> Callable[[Path, Path], Any]:
    """output_dir at a place that cannot be written to; FILE is a file."""

    def make(folder: Path, _: Path) -> Any:
        (folder / "file").touch()
        with run.owned(Path(path.replace("FOLDER", str(folder)))):
            raise AssertionError("it could be written to")

    return make


def full_disk(folder: Path, _: Path) -> Any:
    gan = loading.build(validate(compose(SMALL)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        run._check_space(folder, gan)


HEAD = b"model: {name: vanilla}\n"


def text_file(what: str, name: str, content: bytes, *overrides: str) -> Case:
    """A file of text or a grammar, given as FOLDER/name."""

    def make(folder: Path, good: Path) -> Any:
        (folder / name).write_bytes(content)
        train("model=wgan_gp_text", *overrides)(folder, good)

    return Case("Text and grammars", what, make, (name,))


def sounds(
    what: str,
    files: dict[str, float | bytes],
    *overrides: str,
    data: str = "parallel_speech",
    parts: tuple[str, ...] = (),
) -> Case:
    """Files below FOLDER, of so many seconds or with this content, to train SEGAN+ on."""

    def make(folder: Path, good: Path) -> Any:
        soundfile = pytest.importorskip("soundfile")
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                soundfile.write(path, np.zeros(round(content * 16_000)), 16_000)
        return train("model=segan_plus", f"data={data}", "data.root=FOLDER", *overrides)(folder, good)

    return Case("Sound", what, make, parts)


CASES: list[Case] = [
    *(command_line(words, parts) for words, parts in BAD_COMMAND_LINES),
    line("loss=wasserstein", parts=("nothing bounds", "add regularizer=gradient_penalty")),
    line("model=dcgan", "regularizer=gradient_penalty", "model.discriminator.norm=batch", parts=("batch norm", "regularizer=none")),
    line("loss=ragan", "model.discriminator_update=separate", parts=("relativistic", "joint or concatenated")),
    line("model.generator_batch_factor=2", parts=("model.fresh_fake=true",)),
    line("loss=non_saturating", "loss.labels={flip: 1.5}", parts=("loss.labels.flip: 1.5 came", "<= 1")),
    line("loss=non_saturating", "loss.labels={real: [0.9]}", parts=("loss.labels.real: [0.9] came", "a list of 2")),
    line("loss=non_saturating", "loss.labels={real: [1.2, 0.7]}", parts=("loss.labels.real", "[lowest, highest]")),
    line("loss=hinge", "loss.a=1.0", parts=("loss.a came", "least_squares")),
    line("model=wgan_gp", "regularizer.parts.gradient_penalty.target=0", parts=("target: 0 came", "> 0")),
    line("regularizer=weight_clipping", "regularizer.parts.weight_clipping.every=0", parts=("every: 0 came", ">= 1")),
    line("regularizer=weight_clipping", "regularizer.parts.weight_clipping.limit=-1", parts=("limit: -1 came", "> 0")),
    line("model=wgan_gp_text", "data=digits", parts=("made for text",)),
    line("model=wgan_gp_text", "data.channels=4", parts=("5 to 32767",)),
    line("model=wgan_gp_text", "data.attribute=question", parts=("do not go together",)),
    line("model=wgan_gp_text", "data=text", parts=("set data.root=PLACE",)),
    line("model=wgan_gp_text", "data=grammar", "data.channels=20", parts=("set data.channels=60",)),
    line("model=wgan_gp_text", "model.generator.kernel=4", parts=("kernel must be odd",)),
    line("model=wgan_gp_text", "model/discriminator=text_lstm", "regularizer=spectral_norm", parts=("LSTM",)),
    text_file("A text file with lines that are not UTF-8", "a.txt", b"good\n\xff\xfe\n\xe9\n", "data=text", "data.root=FOLDER"),
    text_file("A text file in UTF-16", "a.txt", "hello".encode("utf-16"), "data=text", "data.root=FOLDER/a.txt"),
    text_file("A text file of empty lines", "a.txt", b"\n \n\n", "data=text", "data.root=FOLDER/a.txt"),
    text_file("A text file with a line that is too long", "a.txt", b"a\n" + b"x" * 99 + b"\n", "data=text", "data.root=FOLDER/a.txt",
              "data.longest=50"),
    text_file("A folder that is no One Billion Word benchmark", "a.txt", b"a\n", "data=one_billion_words", "data.root=FOLDER/a.txt"),
    text_file("A grammar that names what it does not have", "g.cfg", b"S -> A", "data=grammar", "data.grammar=FOLDER/g.cfg"),
    text_file("A grammar with a line that is no rule", "g.cfg", b'S = "a"', "data=grammar", "data.grammar=FOLDER/g.cfg"),
    text_file("A grammar with some probabilities", "g.cfg", b'S -> "a" [0.5] | "b"', "data=grammar", "data.grammar=FOLDER/g.cfg"),
    text_file("A grammar that goes round in a circle", "g.cfg", b'S -> A | "a"\nA -> S', "data=grammar", "data.grammar=FOLDER/g.cfg"),
    text_file("A grammar without a sentence of the length", "g.cfg", b'S -> "a" | "a" "b"', "data=grammar", "data.grammar=FOLDER/g.cfg"),
    line("data=ring", "model=dcgan", parts=("made for image", "choose another data=... or model=...")),
    line("data=digits", "data.resolution=7", "model=vanilla", parts=("at least 8, got 7",)),
    line("data.channels=2", parts=("channels must be 1",)),
    line("data.classes=12", parts=("has 10 classes", "or to 0")),
    line("data=celeba", "data.root=FOLDER", "data.resolution=256", parts=("larger than data.crop 128",)),
    line("data=mnist", parts=("set data.root=FOLDER", "Expected data.root/MNIST/raw/")),
    line("data=mnist", "data.download=true", parts=("needs data.root=FOLDER",)),
    devices(0, "trainer.accelerator=gpu", parts=("torch finds none here", "use trainer.accelerator=cpu")),
    devices(0, "trainer.devices=2", parts=("there is no GPU here", "trainer.accelerator=cpu trainer.devices=2")),
    devices(
        0, "trainer.accelerator=cpu", "trainer.devices=9999", "data.batch_size=9999",
        parts=("at most 16 processes", "use trainer.devices=2"),
    ),
    devices(2, "trainer.devices=4", parts=("there are 2 GPUs", "use at most that many")),
    line("model=pggan", "data.resolution=19", parts=("19",)),
    line("model=pix2pix", "data=digits", parts=("made for pair",)),
    line("model=pix2pix", "data.resolution=30", parts=("halves pictures at least twice", "multiples of 4")),
    line("model=pix2pix", "model.generator.unet.levels=7", parts=("which 64x64 does not allow", "128x128")),
    line("model=pix2pix", "model.discriminator.patch.n_layers=5", parts=("no logit left for 64x64",)),
    line("model=pix2pix", "model.augment={cutout: 0.5}", parts=("not what it was made from",)),
    line("model=pix2pixhd", "data.resolution=72", parts=("64x64 or 80x80",)),
    line("model=pix2pixhd", "model.generator.enhancers=0", parts=("no finer net to come to",)),
    line("model=pix2pixhd", "model.weights.generator.perceptual=10.0", parts=("model.vgg is null", "set the weight to 0.0")),
    line("model=text_to_image", "data.resolution=128", "model.text.source=embedding", parts=("has been read already", "an embedding")),
    line("model=text_to_image", "model.text.training=frozen", parts=("nothing would ever train", "train_text_encoder")),
    line("model=text_to_image", "model.text.encoder.kernel=2", parts=("kernel must be odd",)),
    line("experiment=text_to_image_df_gan", "model.discriminator.norm=batch", parts=("batch norm mixes", "norm and text_norm")),
    arguments(train_text_encoder.main, "data=digits", parts=("has no captions", "data=flowers")),
    arguments(train_text_encoder.main, "encoder=wrods", parts=("did you mean words?",)),
    arguments(train_text_encoder.main, "settings={lr: 0}", parts=("settings.lr",)),
    arguments(embed_captions.main, "data=flowers", "encoder=FOLDER/none.safetensors", "output=FOLDER/e.safetensors",
              parts=("not a text encoder", "train_text_encoder")),
    arguments(embed_captions.main, "data=flowers", "encoder=words.safetensors", "output=FOLDER/e.npy", "pictures=true",
              parts=("one .h5 or .hdf5 file",)),
    arguments(sample.main, "run=RUN", "caption=a red flower", parts=("takes no captions", "model=text_to_image")),
    arguments(sample.main, "run=RUN", "view=captions", parts=("needs a caption",)),
    arguments(sample.main, "run=RUN", "view=arithmetic", "plus=[[3000000000]]", parts=("latent number 3,000,000,000", "view=grid")),
    arguments(sample.main, parts=("run: nothing came",)),
    arguments(sample.main, "run=RUN", "n=0", parts=("n: 0 came, an integer >= 1",)),
    arguments(sample.main, "run=RUN", "n=many", parts=("n: 'many' came",)),
    arguments(sample.main, "run=RUN", "veiw=grid", parts=("did you mean view?",)),
    arguments(sample.main, "run=RUN", "view=gird", parts=("did you mean grid?",)),
    arguments(sample.main, "run=RUN", "--n=3", parts=("key=value was wanted",)),
    arguments(sample.main, "run=RUN", "n=1", "n=2", parts=("n: came twice",)),
    arguments(sample.main, "run=RUN", "view=classes", parts=("not conditional", "model=cgan")),
    arguments(sample.main, "run=RUN", "view=arithmetic", parts=("plus=[[0,3,5],[7,8]]",)),
    arguments(sample.main, "run=RUN", "device=gpu9", parts=("device: 'gpu9' came", "use cpu")),
    arguments(sample.main, "run=FOLDER/absent", parts=("not found", "give a run directory")),
    arguments(translate.main, "run=RUN", "input=FOLDER", "output=FOLDER/out", parts=("translates no pictures", "pix2pix")),
    arguments(sample.main, "run=FOLDER", parts=("holds no checkpoint", "give a run directory")),
    arguments(sample.main, "run=https://example.org/a.ckpt", parts=("only local paths are read", "download it first")),
    arguments(export.main, "run=FOLDER/absent", parts=("not found",)),
    arguments(export.main, "run=RUN", "ouptut=FOLDER", parts=("did you mean output?",)),
    *(picture(name, content, reason) for name, (content, reason) in REFUSED.items()),
    *(mnist(case) for case in BAD_MNIST),
    *(pairs(case) for case in BAD_PAIRS),
    line("model=pix2pix", "data=streets", "data.classes=3", parts=("maps of 8 classes", "data.classes must be 8")),
    line("model=pix2pix", "data=edges", "data.width=128", parts=("square pictures from 16 px on",)),
    line("model=pix2pix", "data=edges", "data.kinds=[spoon]", parts=("data.kinds", "sneaker")),
    line("model=pix2pix", "data=colourise", "data.input_channels=3", parts=("makes data.input_channels=1",)),
    Case("Data folders", "`data=folder data.root=` a folder that is not there", train("data=folder", "data.root=FOLDER/absent"),
         ("there is no such folder", "Expected pictures")),
    Case("Data folders", "`data=cifar10`, an empty folder", train("data=cifar10", "data.root=FOLDER"), ("cifar-10-batches-py",
         "Expected")),
    Case("Data folders", "`data=celeba`, an empty folder", train("data=celeba", "data.root=FOLDER"), ("img_align_celeba", "Expected")),
    pictures("a folder without pictures", ["sub/.hidden.png"], parts=("holds no picture",)),
    pictures("two classes where three were said", ["a/0.png", "b/1.png"], "data.classes=3", parts=("has 2 sub-folders", "set it to 2")),
    pictures("a picture beside the class folders", ["0.png", "b/1.png"], "data.classes=1", parts=("lies in no class folder",)),
    pictures("pictures smaller than asked for", ["0.png"], "data.resolution=32", parts=("16 x 16", "data.resolution <= 16")),
    pictures("a text that is called .png", ["0.png!"], parts=("1 of 1 pictures cannot be used", "is none of")),
    sounds("an empty folder of clean and noisy speech", {}, parts=("there is no such folder",)),
    sounds("a text that is called .wav", {"clean/a.wav": b"no sound", "noisy/a.wav": 1.0}, parts=("a.wav", "no sound file")),
    sounds("a sound file of 0 bytes", {"clean/a.wav": b"", "noisy/a.wav": 1.0}, parts=("is empty", "get it again")),
    sounds("a noisy file without its clean partner", {"clean/a.wav": 1.0, "noisy/a.wav": 1.0, "noisy/b.wav": 1.0},
           parts=("no partner of the same name, such as b",)),
    sounds("partners of different length", {"clean/a.wav": 1.0, "noisy/a.wav": 0.5}, parts=("8000 samples", "16000")),
    sounds("windows longer than every file", {f"{side}/{name}.wav": 0.1 for side in ("clean", "noisy") for name in "ab"},
           parts=("shorter than a window of 8192 samples", "data.resolution")),
    sounds("`data.damage` of a kind that does not exist", {}, "data.damage={rust: 0.5}", data="speech", parts=("no kind",)),
    sounds("a window that the strides do not divide", {}, "data.resolution=5000", data="speech", parts=("4096 or 5120",)),
    arguments(enhance.main, "run=RUN", "input=FOLDER/absent.wav", "output=FOLDER/b.wav", parts=("no such file",)),
    pictures("nearly all held out", ["0.png"], "data.held_out=0.9", parts=("leave none to train with",)),
    *(oxford(*case) for case in BAD_OXFORD),
    captioned("data=flowers", "data.flip=true", parts=("say left and right", "data.flip must be false")),
    captioned("data=flowers", "data.classes=0", "data.sampling=classes", parts=("needs classes", "data.sampling=items")),
    captioned("data=flowers", "data.embeddings=FOLDER/none.safetensors", parts=("no such file of embeddings", "Expected safetensors")),
    captioned("data=oxford_102", parts=("set data.root=FOLDER", "text_c10")),
    captioned("data=caption_folder", "data.root=FOLDER", parts=("holds no picture", "NAME.txt")),
    captioned("data=caption_hdf5", "data.root=FOLDER/none.h5", parts=("there is no such file", "groups train and test")),
    captioned("data=digits", parts=("made for captioned", "choose another data=... or model=...")),
    spoilt("a checkpoint that is cut off", cut, "no checksum at its end"),
    spoilt("a checkpoint with one flipped bit", flipped, "do not match its checksum", "use another checkpoint"),
    spoilt("a run whose checkpoints are all cut off", all_cut, "no checkpoint to resume from", "Start a new run"),
    spoilt("an empty checkpoint", written("checkpoints/last.ckpt", b""), "0 bytes are too few"),
    spoilt("a text in place of a checkpoint", written("checkpoints/last.ckpt", b"text" * 100), "not a checkpoint of gan_zoo"),
    spoilt("a checkpoint of another program", foreign, "not a checkpoint of gan_zoo"),
    spoilt("a checkpoint of an older version", holding("format", 0), "an older gan_zoo; load it with that version"),
    spoilt("a checkpoint of a newer version", holding("format", 2), "a newer gan_zoo; update yours"),
    spoilt("a checkpoint that holds an object of Python", holding("evil", Eval(Path("x"))), "it asks for", "eval"),
    spoilt("a checkpoint without a description", holding("config", GONE), "does not say what it holds"),
    spoilt("a checkpoint of a model that is not there", holding("config.model.name", "stylegan"), "model.name: 'stylegan' came"),
    spoilt("a checkpoint of a model from outside of gan_zoo", holding("config.model._target_", "mine.Model"), "load(path, model=MyGAN)"),
    spoilt("a checkpoint that names a function", holding("config.model.generator._target_", "os.system"), "_target_: no such key"),
    spoilt("a checkpoint that wants to know the environment", holding("config.data.name", "${oc.env:HOME}"), "is not followed"),
    spoilt("weights of another size", holding(f"state.{FIRST}", torch.ones(2, 2)), "do not fit the model", "[2, 2]"),
    spoilt("a weight that is missing", holding(f"state.{FIRST}", GONE), "is missing"),
    spoilt("a weight of 10^12 numbers in a small file", holding(f"state.{FIRST}", torch.zeros(1).expand(10**6, 10**6)), "in a file of"),
    spoilt("counters that count nothing", holding("state._extra_state", {"samples_seen": -1}), "counters: {'samples_seen': -1} came"),
    spoilt("an export whose model.json is cut off", written("export/model.json", b'{"format": 1'), "not an export that can be read"),
    spoilt("an export whose model.json is a list", written("export/model.json", b"[]"), "keys and values were wanted, [] came"),
    spoilt("an export of a newer version", described("format", 2), "a newer gan_zoo; update yours"),
    spoilt("an export without weights", without("export/model.safetensors"), "there is no such file", "model.safetensors"),
    spoilt("safetensors with a header of 2^63 bytes", written("export/model.safetensors", safetensors(b"{}", length=2**63)),
           "get it again"),
    spoilt("`resume=` a run without config.yaml", without("config.yaml"), "not a run directory (no config.yaml)"),
    spoilt("`resume=` a run without checkpoints", without("checkpoints"), "no checkpoint to resume from: there is none"),
    spoilt("`resume=RUN model.n_critic=2`", lambda s: s.resume(*SMALL, "model.n_critic=2"), "cannot go on with other rules", "init_from="),
    spoilt("`resume=https://example.org/run`", lambda s: Stranger.resume(_elsewhere(s)), "only local run directories"),
    spoilt("config.yaml that is no YAML", written("config.yaml", b"model: [1"), "no plain YAML"),
    spoilt("config.yaml with a tag of Python", written("config.yaml", b"a: !!python/object/apply:os.system ['true']"), "no plain YAML"),
    spoilt("config.yaml with an alias bomb", written("config.yaml", b"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"), "holds the alias *a"),
    spoilt("config.yaml nested 10,000 deep", written("config.yaml", b"a: " + b"[" * 10_000), "nested deeper than 32"),
    spoilt("config.yaml that reads the environment", written("config.yaml", HEAD + b"a: ${oc.env:HOME}"), "is not followed"),
    spoilt("config.yaml without data", written("config.yaml", HEAD), "data: null came, keys and values were wanted"),
    spoilt("config.yaml of a class from elsewhere", setting("data._target_", "os.system"), "data._target_: 'os.system'",
           "say so on the command line"),
    spoilt("config.yaml with a word for a number", setting("seed", "many"), "seed: 'many' came"),
    spoilt("`init_from=` a run of another model", begun_elsewhere, "choose the same model and size"),
    spoilt("`output_dir=` of a run that is there already", second_run, "already holds a run", "resume="),
    spoilt("a run directory in which another run is going on", running_still, "another run (process 4321 on another)"),
    Case("Checkpoints, exports and run directories", "`output_dir=` a file", at("FOLDER/file"), ("cannot be written to",
         "another output_dir")),
    Case("Checkpoints, exports and run directories", "`output_dir=` below a file", at("FOLDER/file/run"), ("cannot be written to",)),
    Case("Checkpoints, exports and run directories", "`output_dir=` a name of 5,000 letters", at("FOLDER/" + "a" * 5000),
         ("cannot be written to",)),
    Case("Checkpoints, exports and run directories", "a disk that is full before the first step", full_disk, ("are free",
         "free some space")),
]  # fmt: skip


def _elsewhere(stranger: Stranger) -> Stranger:
    stranger.run = "https://example.org/run"  # type: ignore[assignment]
    return stranger


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("good") / "run")


@pytest.fixture(scope="module")
def messages() -> dict[Case, str]:
    return {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section[:8]}: {case.what[:60]}")
def test_a_mistake_gets_one_message_in_plain_words(
    case: Case, good: Path, tmp_path: Path, messages: dict[Case, str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(MISTAKES) as refusal:
        case.make(folder, good)
    said = str(refusal.value)
    assert [part for part in case.parts if part not in said] == [], said
    assert len(said) > 15 and "Traceback" not in said and " object at 0x" not in said
    messages[case] = shortened(said, folder, good)


def shortened(said: str, folder: Path, good: Path) -> str:
    """With FOLDER and RUN for the folders of this test, and ... for words of other libraries."""
    for path, name in ((folder / "run", "RUN"), (folder, "FOLDER"), (good, "RUN")):
        said = said.replace(str(path), name)
    said = re.sub(r"a{200,}", "aaa...", said)
    for pattern, words in FOREIGN:
        said = re.sub(pattern, words, said)
    return said


def test_every_case_is_told_apart() -> None:
    assert len({(case.section, case.what) for case in CASES}) == len(CASES) >= 60


@pytest.mark.skipif(os.name != "posix", reason="other systems have other words for a name that is too long")
def test_the_page_is_current(messages: dict[Case, str], request: pytest.FixtureRequest) -> None:
    if len(messages) < len(CASES):
        pytest.skip("needs the messages of all cases above: run the whole file")
    page = INTRODUCTION
    for section in dict.fromkeys(case.section for case in CASES):
        rows = [
            f"| {_cell(case.what)} | {_cell(messages[case])} |" for case in CASES if case.section == section
        ]
        page += f"\n## {section}\n\n| what came | what is said |\n|---|---|\n" + "\n".join(rows) + "\n"
    if os.environ.get("GAN_ZOO_UPDATE_DOCS"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, (
        "write it anew: GAN_ZOO_UPDATE_DOCS=1 pytest tests/test_bad_input.py"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", "<br>")


def test_the_messages_are_those_of_the_files_that_a_run_writes(good: Path) -> None:
    """The other side: what is spoilt above is good before."""
    gan_zoo.load(good), gan_zoo.load(good / "export"), plain_yaml.plain(good / "config.yaml")
