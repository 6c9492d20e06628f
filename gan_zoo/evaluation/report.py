"""report.html: a run on one page that opens from disk, asks the network for nothing, and can be sent to anybody."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from gan_zoo import media, plain_yaml
from gan_zoo.evaluation import blind, charts, record, speech_tables
from gan_zoo.evaluation.reproduce import command_of
from gan_zoo.evaluation.wording import Row, digits, figure_rows, protocol_words, verdicts
from gan_zoo.schema import CheckpointError

PAGE = Path(__file__).parent / "page"
NAME = "report.html"
TEXT_CHARACTERS = 20_000  # of each file of lines
FRAMES, FRAME_BYTES = 40, 8 * 2**20  # of the film: at most so many pictures, of so many bytes in all
POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'"
)
HEADLINES = ("modes", "high_quality", "reverse_kl", "stacked_modes", "stacked_kl", "confident", "asked_class", "frechet_distance",
             "precision", "recall", "coverage", "copied", "swd", "pesq", "segmental_snr", "stoi", "covl", "accepted",
             "uniqueness", "bits", "js_1", "js_4", "real_words",
             "copied_lines")  # fmt: skip
MOST_HEADLINES = 6

_e = html.escape


def write_report(run_dir: str | Path) -> Path:
    """Writes RUN/report.html from what the run directory holds now; works before, during and after an evaluation."""
    directory = Path(run_dir)
    if not (directory / "config.yaml").is_file():
        raise CheckpointError(
            f"{directory}: not a run directory (no config.yaml), so there is nothing to report on"
        )
    media.publish(directory / NAME, page(directory).encode())
    return directory / NAME


def page(directory: Path) -> str:
    """The whole document."""
    config = plain_yaml.plain(directory / "config.yaml")
    summary = _json(directory / "summary.json") or {}
    evaluation = record.read(directory)
    rows = list(figure_rows(evaluation)) if evaluation else []
    found = {
        "Samples": _film(directory, config["data"].get("modality")),
        "Curves": _curves(directory),
        "Figures": _figures(rows, evaluation),
        "Resolutions": _resolutions(directory),
        "Pictures": _pictures(directory, evaluation),
        "Remarks": _remarks(summary),
        "Judge": _judge(directory),
        "Reproduce": _reproduce(config, summary),
    }
    sections = {name: body for name, body in found.items() if body}
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name in sections)
    title = f"{config['model'].get('name') or summary.get('model') or 'A model'} on {config['data']['name']}"
    bodies = "".join(f'<section id="{name.lower()}">{body}</section>' for name, body in sections.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{_e(title)} · gan_zoo</title>'
        f"<style>{_asset('report.css')}</style></head><body>"
        f'<nav><div class="bar"><b>{_e(title)}</b>{links}</div></nav><main>{_head(title, summary, config, rows)}{bodies}'
        f"<footer>Written by gan_zoo {_e(str(summary.get('versions', {}).get('gan_zoo', '')))}. This page is one file and asks the "
        f"network for nothing.</footer></main><script>{_asset('report.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _island(name: str, value: Any) -> str:
    """JSON for the script; `<` is written so that no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _data_uri(path: Path) -> str:
    kind = {".gif": "image/gif", ".png": "image/png", ".wav": "audio/wav"}[path.suffix]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


# ---------------------------------------------------------------- head


def _head(title: str, summary: dict[str, Any], config: dict[str, Any], rows: Sequence[Row]) -> str:
    facts = "".join(f"<li><b>{_e(value)}</b> {_e(what)}</li>" for value, what in _facts(summary, config))
    chosen = [row for name in HEADLINES for row in rows if row.name == name][:MOST_HEADLINES]
    tiles = "".join(
        f'<div class="tile card"><span>{_e(row.label)}</span><b>{row.value}</b>'
        f"<span>{f'floor {row.floor}' if row.floor else '&nbsp;'}</span></div>"
        for row in chosen
    )
    state = _state(summary)
    shown = f'<div class="tiles">{tiles}</div>' if tiles else ""
    return f'<h1>{_e(title)}</h1><p class="lead">{_e(state)}</p><ul class="facts">{facts}</ul>{shown}'


def _state(summary: dict[str, Any]) -> str:
    if not summary:
        return "There is no summary of this run yet."
    if summary.get("error"):
        return f"Broken off after {summary['samples_seen']:,} samples: {summary['error']}"
    done = "Finished" if summary["finished"] else "Not finished"
    return f"{done}: {summary['samples_seen']:,} of {summary['max_samples']:,} samples seen by the discriminator."


def _facts(summary: dict[str, Any], config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    parameters = summary.get("parameters", {})
    for player in ("generator", "discriminator"):
        if player in parameters:
            yield f"{parameters[player]:,}", f"parameters in the {player}"
    if seconds := summary.get("wall_seconds"):
        yield _duration(seconds), "of training"
    if speed := summary.get("images_per_second"):
        yield f"{speed:,.0f}", "samples a second"
    yield str(config["loss"].get("name")), "loss"
    if parts := config["regularizer"].get("parts"):
        yield " + ".join(map(str, parts)).replace("_", " "), "regulariser"
    yield str(config["seed"]), "seed"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


# ---------------------------------------------------------------- samples and curves


def _film(directory: Path, modality: str | None) -> str:
    """A slider over samples/*.png beside the real ones; texts as they are."""
    folder = directory / "samples"
    paths = sorted(path for path in folder.glob("*.png") if re.fullmatch(r"\d{10,}", path.stem))
    if not paths:
        return _texts(folder)
    frames = [{"samples": int(path.stem), "src": _data_uri(path)} for path in _some(paths)]
    real, kind = (
        folder / "real.png",
        "drawn" if modality in ("points", "audio") else "pixels",
    )  # a drawing may be smoothed
    beside = (f'<figure class="frame card"><figcaption><b>Real</b><span class="soft">in the same layout</span></figcaption>'
              f'<img class="{kind}" src="{_data_uri(real)}" alt="real samples"></figure>') if real.is_file() else ""  # fmt: skip
    return (
        "<h2>Samples, as training went on</h2><p class='soft'>From the same latents each time.</p><div class='two'>"
        '<figure class="frame card"><figcaption><b>Generated</b>'
        f'<span class="soft" id="film-at">{frames[-1]["samples"]:,} samples seen</span></figcaption>'
        f'<img id="film" class="{kind}" src="{frames[-1]["src"]}" alt="generated samples">'
        '<div class="controls"><button id="film-play">Play</button>'
        f'<input id="film-slider" type="range" min="0" max="{len(frames) - 1}" value="{len(frames) - 1}" aria-label="position in training">'
        f"</div></figure>{beside}</div>{_island('frames', frames)}"
        + _players(
            {
                "Enhanced": folder / f"{paths[-1].stem}.wav",
                "Noisy": folder / "real_noisy.wav",
                "Clean": folder / "real.wav",
            }
        )
    )


def _players(sounds: dict[str, Path]) -> str:
    """Sound files to be played, where they are there."""
    shown = "".join(
        f'<label>{_e(name)} <audio controls preload="none" src="{_data_uri(path)}"></audio></label>'
        for name, path in sounds.items()
        if path.is_file()
    )
    return f'<div class="controls">{shown}</div>' if shown else ""


def _texts(folder: Path) -> str:
    """The last lines beside real ones, and earlier ones to open."""
    texts = sorted(path for path in folder.glob("*.txt") if re.fullmatch(r"\d{10,}", path.stem))
    if not texts:
        return ""
    *earlier, last = dict.fromkeys([*texts[:: -(-len(texts) // FRAMES)], texts[-1]])  # an even choice
    panels = [("Generated", f"{int(last.stem):,} samples seen", last)]
    real = folder / "real.txt"
    panels += [("Real", "training lines", real)] if real.is_file() else []
    shown = "".join(
        f'<figure class="frame card"><figcaption><b>{_e(what)}</b><span class="soft">{_e(note)}</span></figcaption>'
        f"<pre>{_e(_begun(path))}</pre></figure>"
        for what, note, path in panels
    )
    before = "".join(
        f"<details><summary>{int(path.stem):,} samples seen</summary><pre>{_e(_begun(path))}</pre></details>"
        for path in reversed(earlier)
    )
    return (
        "<h2>Samples, as training went on</h2><p class='soft'>From the same latents each time.</p>"
        f"<div class='two'>{shown}</div>{before}"
    )


def _begun(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[:TEXT_CHARACTERS]


def _some(paths: list[Path]) -> list[Path]:
    """An even choice that holds the first and the last, within FRAMES and FRAME_BYTES."""
    largest = max(path.stat().st_size for path in paths)
    count = max(2, min(FRAMES, len(paths), FRAME_BYTES // max(largest, 1)))
    return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))]


def _curves(directory: Path) -> str:
    found = charts.curves(directory / "metrics.csv")
    if not found:
        return ""
    cards = "".join(found).replace('<figure class="chart">', '<figure class="chart card">')
    note = "Losses, norms and accuracies are of single steps: faint as they are, strong smoothed."
    return f"<h2>Curves</h2><p class='soft'>Over samples seen. {note}</p><div class='charts'>{cards}</div>"


# ---------------------------------------------------------------- figures


def _figures(rows: Sequence[Row], evaluation: dict[str, Any] | None) -> str:
    if evaluation is None:
        return ("<h2>Figures</h2><p>Not evaluated yet. <code>python -m gan_zoo.evaluate run=RUN_DIR</code> measures this run and "
                "writes them here.</p>")  # fmt: skip
    settings, moment = evaluation["settings"], evaluation["run"]
    body = "".join(_group(list(group)) for _, group in groupby(rows, key=lambda row: row.measure))
    return (
        f"<h2>Figures</h2><p>Of {settings['n']:,} generated samples after {moment['samples_seen']:,} samples of training. The "
        "<b>floor</b> is the same figure for held-out real samples in the place of generated ones: what a perfect generator would get. "
        "Intervals hold the figure in 95 % of cases. With few samples some figures are biased; where fewer reals are held out than "
        "samples were drawn, the figure of as many samples stands below the value: hold that one against the floor.</p>"
        '<p class="soft"><span class="swatch"></span> value and interval &nbsp; <span class="swatch floor"></span> floor</p>'
        '<div class="scroll card" style="margin-top:0"><table class="stack"><thead><tr><th>Figure</th><th class="number">Value</th>'
        '<th class="number">95 % interval</th><th class="number">Floor</th><th></th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _resolutions(directory: Path) -> str:
    """resolutions.csv, a line for each resolution of a growing run when it was finished."""
    columns, rows = media.read_table(directory / "resolutions.csv")
    if not rows:
        return ""
    head = ["side in px", "samples seen", *(name.replace("_", " ") for name in columns[2:])]
    lines = [
        [row["resolution"], f"{int(row['samples_seen']):,}", *(digits(float(row[name])) if row[name] else "" for name in columns[2:])]
        for row in rows
    ]  # fmt: skip
    return "<h2>Resolutions</h2>" + _table(
        "Each resolution when it was finished, against training pictures of it", head, lines
    )


def _group(rows: Sequence[Row]) -> str:
    """The figures of one measure, which share a protocol, under its title."""
    protocol = f"<details><summary>protocol</summary>{_e(protocol_words(rows[0].figure))}</details>"
    return f'<tr class="group"><td colspan="5">{_e(rows[0].measure)}{protocol}</td></tr>' + "".join(
        map(_line, rows)
    )


def _line(row: Row) -> str:
    figure = row.figure
    interval = (figure.interval.low, figure.interval.high) if figure.interval else None
    arrow = "↓ lower is better" if row.lower_is_better else "↑ higher is better"
    matched = f"<small>with {row.floor_samples:,}: {row.matched}</small>" if row.matched else ""
    floor = f"{row.floor}<small>with {row.floor_samples:,}</small>" if row.floor else ""
    return (
        f'<tr><td class="label">{_e(row.label)} <span class="arrow" title="{arrow}">{arrow[0]}</span><small>{_e(row.says)}</small>'
        f'</td><td class="number value-cell"><span class="value">{row.value}</span>{matched}</td>'
        f'<td class="number" data-name="95 %">{row.interval}</td><td class="number" data-name="floor">{floor}</td>'
        f'<td class="picture">{charts.whisker(figure.value, interval, figure.floor)}</td></tr>'
    )


def _pictures(directory: Path, evaluation: dict[str, Any] | None) -> str:
    shown = []
    for item in (evaluation or {}).get("pictures", []):
        path = directory / "evaluation" / Path(item["file"]).name
        if path.is_file() and path.suffix == ".png":
            shown.append(f'<figure class="card"><figcaption>{_e(item["caption"])}</figcaption>'
                         f'<img src="{_data_uri(path)}" alt="{_e(item["caption"])}" loading="lazy">{_heard(path)}</figure>')  # fmt: skip
    return (
        f"<h2>What the figures mean, to be seen</h2><div class='pictures'>{''.join(shown)}</div>{_tables(evaluation)}"
        if shown
        else ""
    )


def _heard(picture: Path) -> str:
    """Players for the sounds that a spectrogram shows."""
    return _players(
        {name: picture.with_name(f"{picture.stem}_{name}.wav") for name in ("clean", "noisy", "enhanced")}
    )


def _tables(evaluation: dict[str, Any] | None) -> str:
    """Details that are tables: classes, low-level statistics, the fingerprints' reference sets."""
    measures = (evaluation or {}).get("measures", {})
    tables = []
    if rows := measures.get("digits", {}).get("details", {}).get("classes"):
        names = ("name", "fake_share", "real_share", "confidence", "variety_ratio")
        head: tuple[str, ...] = (
            "class",
            "share generated",
            "share real",
            "confidence",
            "variety, generated over real",
        )
        tables.append(_table("Class by class", head, [[_cell(row[name]) for name in names] for row in rows]))
    if rows := measures.get("segmentation", {}).get("details", {}).get("classes"):
        head = (
            "class",
            "share of pixels",
            "accuracy",
            "IoU",
            "accuracy of the true pictures",
            "IoU of the true pictures",
        )
        tables.append(
            _table("Labels read back, class by class", head, [[row[0], *map(_cell, row[1:])] for row in rows])
        )
    if rows := measures.get("attributes", {}).get("details", {}).get("attributes"):
        head = ("attribute", "choice", "share generated", "share in training", "share held out")
        body = [
            [name.replace("_", " "), choice.replace("_", " "), *map(_cell, shares)]
            for name, choice, *shares in rows
        ]
        tables.append(_table("Attributes, as the program reads them", head, body))
    if evaluation:
        tables += [f"<p>{_e(title)}: <b>{_e(said)}</b>.</p>" for title, said in verdicts(evaluation)]
    if details := measures.get("speech", {}).get("details"):
        tables += [_table(title, head, lines) for title, head, lines in speech_tables.tables(details)]
    low = measures.get("spectrum", {}).get("details", {})
    if low.get("statistics"):
        parts = ("train", "held_out", "fake")
        lines = [
            [name.replace("_", " "), *(_cell(low[part][i]) for part in parts)]
            for i, name in enumerate(low["statistics"])
        ]
        tables.append(
            _table("Low-level statistics, pixels in [0, 1]", ("", "training", "held out", "generated"), lines)
        )
    references = dict(measures.get("fingerprints", {}).get("details", {}))
    moments = references.pop("moments", {})
    if references:
        columns = list(next(iter(references.values())))
        figures = measures["fingerprints"]["figures"]
        own = {"generated": {name: figures[name]["figure"]["value"] for name in columns},
               "held out": {name: figures[name]["figure"]["floor"] for name in columns}}  # fmt: skip
        lines = [
            [kind, *(_cell(row[name]) for name in columns)] for kind, row in {**own, **references}.items()
        ]
        tables.append(
            _table(
                "Fingerprints beside reference sets",
                ("", *(name.replace("_", " ") for name in columns)),
                lines,
            )
        )
    if moments:
        head = ("", "mean", "deviation", "skewness", "excess kurtosis")
        body = [[name, *map(_cell, row)] for name, row in moments.items()]
        tables.append(
            _table("Moments of the columns' spectral centroids and slopes, in rows of pixels", head, body)
        )
    return "".join(tables)


def _cell(value: Any) -> str:
    numeric = isinstance(value, int | float) or value in ("nan", "inf", "-inf")  # as JSON holds them
    return digits(float(value)) if numeric else str(value)


def _table(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        inner = (f'<{tag} class="{"number" if i else ""}">{_e(cell)}</{tag}>' for i, cell in enumerate(cells))
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(row(line, "td") for line in lines)
    table = f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table>"
    return f'<h3>{_e(title)}</h3><div class="scroll card">{table}</div>'


# ---------------------------------------------------------------- remarks, the blind test, the command


def _remarks(summary: dict[str, Any]) -> str:
    if not summary:
        return ""
    remarks = summary.get("remarks") or []
    shown = "".join(
        f'<div class="remark card"><b>{_e(str(one["symptom"]).replace("_", " "))}</b><span class="soft">after {int(one["samples_seen"]):,} '
        f"samples</span><br>{_e(str(one['advice']))}</div>"
        for one in remarks
    )
    return "<h2>The doctor's remarks</h2>" + (
        shown or '<div class="remark well card">No symptom was seen during training.</div>'
    )


def _judge(directory: Path) -> str:
    folder = directory / "evaluation"
    test = _json(folder / blind.NAME)
    if test is None or not test["items"]:
        return ""
    return (
        "<h2>Judge it yourself</h2><p>Half of these pictures are held-out real ones, half were generated; which is which is told at the "
        "end. Answers are kept in this browser and can be saved as a file: put it into the run's <code>evaluation/</code> folder and call "
        "<code>gan_zoo.evaluate</code> again to see all scores together.</p>"
        '<div class="judge card" id="judge-app"><p id="judge-status" class="soft"></p>'
        '<div class="stage" id="judge-stage"></div><div class="row" id="judge-buttons" hidden><button id="say-real">Real (R)</button>'
        '<button id="say-fake">Generated (G)</button></div><p class="result" id="judge-result"></p><div class="row">'
        '<button id="judge-save">Save answers as a file</button><button id="judge-again">Start again</button></div></div>'
        f"{_scores(blind.saved_scores(folder))}{_island('blind', test)}"
    )


def _scores(scores: Sequence[dict[str, Any]]) -> str:
    if not scores:
        return ""
    lines = []
    for one in scores:
        interval = one.get("interval")
        bounds = f"{interval[0]:.2f} – {interval[1]:.2f}" if interval else ""
        cells = [
            _share(one.get("accuracy")),
            bounds,
            _share(one.get("p_value")),
            _share(one.get("fooled")),
            _share(one.get("real_first")),
        ]
        lines.append(
            [str(one["file"]), one["error"], "", "", "", ""] if "error" in one else [str(one["file"]), *cells]
        )
    head = ("file", "right", "95 % interval", "p, guessing", "generated taken for real", "real ranked first")
    return _table("Saved answers", head, lines)


def _share(value: float | None) -> str:
    return "" if value is None else digits(value)


def _reproduce(config: dict[str, Any], summary: dict[str, Any]) -> str:
    command, exact = command_of(config)
    note = ("Composing it gives this run's config again." if exact else "It is a beginning: not every value of the config below can be "
            "chosen by name.")  # fmt: skip
    versions = ", ".join(f"{name} {value}" for name, value in (summary.get("versions") or {}).items())
    commit = f"; commit {summary['git_commit']}" if summary.get("git_commit") else ""
    text = plain_yaml_text(config)
    return (
        f'<h2>Reproduce</h2><p>{note} <button data-copy="command">Copy</button></p><pre class="wrap" id="command">{_e(command)}</pre>'
        f'<p class="soft">{_e(versions + commit)}</p><details><summary>The whole config</summary><pre>{_e(text)}</pre></details>'
    )


def plain_yaml_text(config: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
