"""Cleans sound files with a trained model: python -m gan_zoo.enhance run=RUN_DIR input=noisy.wav output=clean.wav."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import NonNegativeInt, PositiveInt

from gan_zoo.command import command
from gan_zoo.schema import DataError
from gan_zoo.wording import of_unread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gan_zoo.gan import GAN

    Sound = NDArray[np.float32]
    Network = Callable[[Sound, int], Sound]  # (windows [N, T], number of the first) -> cleaned windows [N, T]

Overlap = Literal["half", "none"]
Level = Literal["auto", "keep"]
BLOCK = 10.0  # seconds that are read at once
USUAL, TOLERANCE = (
    -26.0,
    10.0,
)  # dB of active speech that a network has heard, and how far from it is still usual


@command
def main(
    *,
    run: str,
    input: str,
    output: str,
    overlap: Overlap = "half",
    level: Level = "auto",
    batch: PositiveInt = 16,
    seed: NonNegativeInt = 0,
    device: str = "cpu",
) -> list[Path]:
    """Cleans one file or all below a folder, of any rate, length, bit depth and number of channels.

    The result has the rate, length, channels, bit depth and loudness of the input. Files are streamed: an hour of sound needs
    no more memory than a minute. Channels are cleaned one by one.

    run: run directory, .ckpt file or export of a model of speech.
    input: a sound file, or a folder of them (with its sub-folders).
    output: the file to write (.wav, .flac, .ogg), or the folder, in which the names are those of the input.
    overlap: half: windows overlap by half and fade into each other; none: side by side, as the paper's tables were made.
    level: auto: sound far louder or softer than speech usually is goes to the network at the usual level, and comes back at its
        own; keep: it goes as it is.
    batch: windows that the network sees at once.
    seed: of z, which the network starts from beside the sound.
    device: cpu, cuda, mps.
    """
    from gan_zoo.loading import load

    pairs = files(Path(input).expanduser(), Path(output).expanduser())
    gan = load(run, device=device)
    network, settings = network_of(gan, seed), settings_of(gan, run)
    written, unread = [], []
    for source, target in pairs:
        try:
            speed = enhance_file(network, source, target, settings, overlap=overlap, level=level, batch=batch)
        except DataError as failure:  # one of a thousand files keeps none of the others back
            if len(pairs) == 1:
                raise
            unread.append(failure)
            continue
        written.append(target)
        print(f"{target}: {speed:.1f} times as fast as it plays", flush=True)
    if unread:
        raise DataError(input, of_unread(unread, len(pairs)))
    return written


def enhance(
    gan: GAN,
    sound: Sound,
    rate: int = 16_000,
    *,
    overlap: Overlap = "half",
    level: Level = "auto",
    batch: int = 16,
    seed: int = 0,
) -> Sound:
    """`sound`, float [T] or [T, channels] at `rate` Hz with full scale 1, cleaned: the same shape and rate, float32."""
    import numpy as np

    from gan_zoo.schema import ConfigError

    given = np.asarray(sound, np.float32)
    columns = given[:, None] if given.ndim == 1 else given
    if columns.ndim != 2 or not np.isfinite(columns).all():
        raise ConfigError(f"sound must be finite numbers [T] or [T, channels], got {list(given.shape)}")
    settings, step = settings_of(gan), max(1, round(BLOCK * rate))
    blocks = [columns[i : i + step] for i in range(0, len(columns), step)]
    gain = gain_of(blocks, rate) if level == "auto" else 1.0
    stream = Stream(network_of(gan, seed), settings, rate, columns.shape[1], overlap, batch, gain)
    made = [*(stream.push(block) for block in blocks), stream.finish()]
    return np.concatenate(made).reshape(given.shape)


# ---------------------------------------------------------------- the network


class Settings(NamedTuple):
    """What a model says of its windows: their samples at 16 kHz, and the coefficient of its pre-emphasis."""

    window: int
    emphasis: float


def settings_of(gan: GAN, where: str = "this model") -> Settings:
    """ConfigError where the model makes something else than clean sound from noisy."""
    from gan_zoo.schema import ConfigError

    window, emphasis = getattr(gan, "window", None), getattr(gan, "pre_emphasis", None)
    if window is None or emphasis is None:
        raise ConfigError(
            f"{where} is a {type(gan).__name__}, which does not clean sound; train one with model=segan_plus or model=segan"
        )
    return Settings(window, emphasis)


def network_of(gan: GAN, seed: int = 0) -> Network:
    """The averaged generator where there is one; each window's z is a function of (seed, its number)."""
    import torch

    from gan_zoo import chance

    def draw(number: int) -> Any:
        assert gan.latent is not None
        return gan.latent.fixed(1, chance.mix(seed, "window", number))

    def cleaned(windows: Sound, first: int) -> Sound:
        noisy = torch.from_numpy(windows)[:, None].to(gan.device)
        batch = {"condition": noisy}
        if gan.latent is not None:
            batch["latent"] = torch.cat([draw(first + i) for i in range(len(windows))]).to(gan.device)
        with gan.averaged():
            return gan.generate(batch).float()[:, 0].cpu().numpy()

    return cleaned


class Windows:
    """16 kHz, one channel: pushed samples come back cleaned, as many in all as went in.

    Pre- and de-emphasis run through the whole stream. overlap half: windows start every half window, and their halves are
    added with weights sin^2 and cos^2; none: side by side, the last one filled up with zeros.
    """

    def __init__(self, network: Network, settings: Settings, overlap: Overlap, batch: int) -> None:
        import numpy as np

        self.network, self.batch = network, batch
        self.window, self.emphasis = settings.window, settings.emphasis
        self.hop = self.window // 2 if overlap == "half" else self.window
        self.lead = (
            self.window - self.hop
        )  # zeros before the first sample, so that it too lies in two windows
        self.waiting = np.zeros(self.lead, np.float32)
        self.tail = np.zeros(self.lead, np.float32)  # second half of the last window, faded out
        self.fade = (np.sin(np.pi / 2 * (np.arange(self.lead) + 0.5) / max(self.lead, 1)) ** 2).astype(
            np.float32
        )
        self.last, self.memory = np.zeros(1, np.float32), np.zeros(1)  # of the two filters
        self.taken = self.given = self.number = 0
        self.skip = self.lead

    def push(self, sound: Sound) -> Sound:
        """The samples that are certain by now."""
        import numpy as np

        self.taken += len(sound)
        before = np.concatenate([self.last, sound])
        self.last = before[-1:]
        self.waiting = np.concatenate([self.waiting, before[1:] - self.emphasis * before[:-1]])
        return self._filtered([*self._cleaned()])

    def finish(self) -> Sound:
        """What is still waiting; then as many samples were given as taken."""
        import numpy as np

        count = -(-(self.taken + self.lead) // self.hop) - self.number  # windows that are still wanted
        short = (count - 1) * self.hop + self.window - len(self.waiting) if count > 0 else 0
        self.waiting = np.concatenate([self.waiting, np.zeros(max(0, short), np.float32)])
        left = self.taken - self.given
        return self._filtered([*self._cleaned()])[:left]

    def _cleaned(self) -> Iterator[Sound]:
        """Pieces of `hop` samples, still emphasised."""
        import numpy as np

        while (count := min(self.batch, (len(self.waiting) - self.window) // self.hop + 1)) > 0:
            parts = np.lib.stride_tricks.sliding_window_view(self.waiting, self.window)[:: self.hop][:count]
            for window in self.network(np.array(parts), self.number):
                yield self.tail + self.fade * window[: self.hop] if self.lead else window
                self.tail = self.fade[::-1] * window[self.hop :]
            self.number += count
            self.waiting = self.waiting[count * self.hop :]

    def _filtered(self, pieces: list[Sound]) -> Sound:
        """De-emphasised, without what stood before the first sample."""
        import numpy as np
        from scipy.signal import lfilter

        made = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
        self.skip, made = max(0, self.skip - len(made)), made[self.skip :]
        if not len(made):
            return made
        made, self.memory = lfilter([1.0], [1.0, -self.emphasis], made.astype(np.float64), zi=self.memory)
        kept = made.astype(np.float32)
        self.given += len(kept)
        return kept


# ---------------------------------------------------------------- any rate, any number of channels


class Stream:
    """Blocks [n, channels] at `rate` Hz, cleaned: pushed blocks come back later, in all as many samples as went in.

    gain: on the way to the network, taken back behind it.
    """

    def __init__(
        self,
        network: Network,
        settings: Settings,
        rate: int,
        channels: int,
        overlap: Overlap,
        batch: int,
        gain: float = 1.0,
    ) -> None:
        from gan_zoo.media.audio import RATE
        from gan_zoo.schema import ConfigError

        if rate < 1 or channels < 1:
            raise ConfigError(
                f"sound has a rate and channels of at least 1, got {rate} Hz and {channels} channels"
            )
        self.columns = [Windows(network, settings, overlap, batch) for _ in range(channels)]
        self.gain, self.taken, self.given = gain, 0, 0
        self.down = self.up = None
        if rate != RATE:
            from gan_zoo.data.recordings import soxr

            make = soxr().ResampleStream
            self.down = make(rate, RATE, channels, dtype="float32", quality="VHQ")
            self.up = make(RATE, rate, channels, dtype="float32", quality="VHQ")

    def push(self, block: Sound) -> Sound:
        """float [n, channels] -> what is ready of it, float32 [m, channels]."""
        self.taken += len(block)
        return self._through(block, last=False)

    def finish(self) -> Sound:
        """The rest, so that as many samples were given as taken."""
        import numpy as np

        rest = self._through(np.empty((0, len(self.columns)), np.float32), last=True)
        short = max(0, self.taken - self.given)
        return np.concatenate([rest, np.zeros((short, rest.shape[1]), np.float32)])

    def _through(self, block: Sound, last: bool) -> Sound:
        import numpy as np

        x = np.ascontiguousarray(block * np.float32(self.gain), np.float32)
        x = self.down.resample_chunk(x, last=last) if self.down else x
        columns = [column.push(x[:, k]) for k, column in enumerate(self.columns)]
        if last:
            columns = [
                np.concatenate([one, column.finish()])
                for one, column in zip(columns, self.columns, strict=True)
            ]
        made = np.stack(columns, axis=1)
        made = self.up.resample_chunk(made, last=last) if self.up else made
        made = (made / np.float32(self.gain))[: self.taken - self.given]
        self.given += len(made)
        return made


def gain_of(blocks: Iterable[Sound], rate: int) -> float:
    """1 where the active sound (20 ms within 40 dB of the loudest) is within TOLERANCE of USUAL; else what brings it there."""
    import numpy as np

    length = max(1, rate // 50)
    energies = [np.empty(0)]
    for block in blocks:
        whole = block[: len(block) // length * length] if len(block) >= length else block
        frames = whole.reshape(max(1, len(whole) // length), -1, block.shape[1]).astype(np.float64)
        energies.append(np.square(frames).mean(1).max(1))
    every = np.concatenate(energies)
    if not len(every) or every.max() < 1e-12:  # silence
        return 1.0
    level = 10 * np.log10(every[every > every.max() * 1e-4].mean())
    return 1.0 if abs(level - USUAL) <= TOLERANCE else float(10 ** ((USUAL - level) / 20))


# ---------------------------------------------------------------- files


def files(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """(from, to) of each file; DataError and ConfigError for what cannot be read or written. Files of a folder are read later,
    where one that cannot be keeps none of the others back."""
    from gan_zoo.data.recordings import SUFFIXES, header, listed
    from gan_zoo.schema import ConfigError

    if not source.is_dir():
        header(source)
        if target.suffix.lower() not in SUFFIXES:
            raise ConfigError(
                f"output={target}: a file of {', '.join(sorted(SUFFIXES))} was wanted, as the input is a file"
            )
        pairs = [(source, target)]
    else:
        if target.suffix.lower() in SUFFIXES:
            raise ConfigError(f"output={target} names a file, the input {source} is a folder; give a folder")
        pairs = [(path, target / path.relative_to(source)) for path in listed(source)]
    for path, written in pairs:
        if written.exists() and written.resolve() == path.resolve():
            raise ConfigError(f"output={target} would overwrite the input {path}; choose another")
    return pairs


def enhance_file(
    network: Network,
    source: Path,
    target: Path,
    settings: Settings,
    *,
    overlap: Overlap = "half",
    level: Level = "auto",
    batch: int = 16,
) -> float:
    """Cleans one file; readers of the target see it whole or not at all. Returns how many times as fast as it plays."""
    import time

    from gan_zoo.data.recordings import header

    begun, said = time.perf_counter(), header(source)
    gain = gain_of(_blocks(source, said.rate), said.rate) if level == "auto" else 1.0
    stream = Stream(network, settings, said.rate, said.channels, overlap, batch, gain)
    part = target.with_name(f"{target.stem}.part{target.suffix}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _like(source, part) as out:
            for block in _blocks(source, said.rate):
                out.write(stream.push(block))
            out.write(stream.finish())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return said.frames / said.rate / (time.perf_counter() - begun)


def _blocks(path: Path, rate: int) -> Iterator[Sound]:
    """BLOCK seconds at a time, float32 [n, channels]; DataError where the file breaks off or holds NaN."""
    import numpy as np

    from gan_zoo.data.recordings import header, soundfile

    wanted, found = header(path).frames, 0
    try:
        with ExitStack() as stack:
            file = stack.enter_context(soundfile().SoundFile(str(path)))
            for block in file.blocks(max(1, round(BLOCK * rate)), dtype="float32", always_2d=True):
                if not np.isfinite(block).all():
                    raise DataError(path, "holds values that are no finite numbers; convert it to 16 bits")
                found += len(block)
                yield block
    except (RuntimeError, OSError) as error:
        raise DataError(path, f"breaks off: {error}; get it again") from error
    if found != wanted:
        raise DataError(path, f"holds {found} samples, its header says {wanted}; get it again")


def _like(source: Path, target: Path) -> Any:
    """A file to write of the rate, channels and, where its format has it, the bit depth of `source`."""
    from gan_zoo.data.recordings import soundfile

    library = soundfile()
    said = library.info(str(source))
    kind = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".w64": "W64"}.get(target.suffix.lower(), "AIFF")
    subtype = said.subtype if library.check_format(kind, said.subtype) else library.default_subtype(kind)
    return library.SoundFile(str(target), "w", said.samplerate, said.channels, subtype, format=kind)


if __name__ == "__main__":
    main()
