"""Evaluating a model of speech: the table of systems, by noise and by SNR, and what can be heard of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_zoo.config import compose, validate
from gan_zoo.data.speech import Pair
from gan_zoo.evaluate import main
from gan_zoo.evaluation import record
from gan_zoo.evaluation.speech import MODEL, Scored, _means, scored
from gan_zoo.evaluation.speech_tables import tables
from gan_zoo.metrics.denoisers import DENOISERS
from gan_zoo.run import train
from gan_zoo.schema import ConfigError

pytest.importorskip("pystoi")
SMALL = ["data.resolution=1024", "data.batch_size=2", "data.speakers=1", "data.utterances=1", "data.noise_seconds=6",
         "data.test_snrs=[2.5]", "model.generator.channels=[2,2,2,2,2]", "model.latent.size=2", "logger=csv",
         "model.discriminator.channels=[2,2,2,2,2]", "model.discriminator.hidden=[2]", "trainer.threads=1"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for two steps, with damage, so that it is measured apart."""
    directory = tmp_path_factory.mktemp("speech") / "run"
    settings = [
        "model=segan_plus",
        *SMALL,
        "max_samples=4",
        "data.damage={gaps: 0.5}",
        f"output_dir={directory}",
    ]
    assert train(validate(compose(settings))) == 0
    return directory


def test_the_table_has_the_noisy_input_two_filters_and_the_model(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = main(run=str(run), metrics=["segmental_snr", "stoi"], n=4)
    content = json.loads(written.read_text())
    details = content["measures"]["speech"]["details"]
    assert list(details["systems"]) == [*DENOISERS, MODEL, "enhanced, faded"] and details["utterances"] == 4
    assert set(details["systems"]["noisy"]) == {"segmental_snr", "stoi"}
    assert list(details["by_snr"]) == ["2.5 dB"] and list(details["by_damage"]) == ["gaps"]
    assert len(details["by_noise"]) == 4 and all(
        set(rows) == set(details["systems"]) for rows in details["by_noise"].values()
    )
    figure = record.figures(run)["segmental_snr"]
    assert figure.value == pytest.approx(details["systems"][MODEL]["segmental_snr"])
    assert figure.interval is not None and figure.interval.low < figure.value < figure.interval.high
    shown = capsys.readouterr().out
    for word in ("wiener", "spectral subtraction", "enhanced", "2.5 dB", "SSNR"):
        assert word in shown
    page = (run / "report.html").read_text()
    assert page.count("<audio") == 3 * 3 + 3 and "media-src data:" in page and "By noise" in page
    assert {path.name for path in (run / "evaluation").glob("*.wav")} == {
        f"speech_{k}_{name}.wav" for k in range(3) for name in ("clean", "noisy", "enhanced")
    }


def test_a_second_evaluation_of_the_same_takes_what_was_found(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(run=str(run), metrics=["snr"], n=2)
    before = json.loads((run / record.NAME).read_text())

    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("gan_zoo.evaluation.speech.scored", never)
    main(run=str(run), metrics=["snr"], n=2)
    assert json.loads((run / record.NAME).read_text()) == before


def test_an_unknown_metric_is_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"'fid' came; for sound there are pesq"):
        main(run=str(run), metrics=["fid"])


def test_means_leave_out_what_is_no_number() -> None:
    rows = [Scored("a", "", "", {"pesq": value}) for value in (1.0, float("nan"), 3.0)]
    assert _means(rows, lambda one: one.system) == {"a": {"pesq": 2.0}}


def test_an_utterance_is_scored_through_each_system() -> None:
    sound = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    pair = Pair("a", sound, 2 * sound, "hiss", 5.0)
    one, other = scored(pair, {"as it is": lambda x: x, "halved": lambda x: x / 2}, ["snr", "segmental_snr"])
    assert (one.noise, one.snr) == ("hiss", "5 dB") and one.figures["snr"] == pytest.approx(0, abs=1e-6)
    assert other.figures["segmental_snr"] == 35


def test_tables_are_in_the_order_of_the_paper() -> None:
    row = {"pesq": 2.16, "csig": 3.48, "segmental_snr": 7.73}
    found = list(tables({"systems": {"enhanced": row}, "by_noise": {"bus": {"enhanced": row}}}))
    assert found[0] == ("Systems", ["", "enhanced"], [["PESQ", "2.16"], ["CSIG", "3.48"], ["SSNR", "7.73"]])
    assert found[1] == ("By noise", ["", "system", "PESQ", "SSNR"], [["bus", "enhanced", "2.16", "7.73"]])
