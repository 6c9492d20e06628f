"""Packs a trained model for others: python -m gan_zoo.export run=RUN_DIR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gan_zoo.command import command


@command
def main(*, run: str, output: str | None = None) -> Path:
    """Writes weights (safetensors), settings (JSON) and a model card; gan_zoo.load reads them back to the same samples, bit for bit.

    run: run directory or .ckpt file.
    output: folder to write; default RUN/export.
    """
    from gan_zoo import loading

    gan, description = loading.load(run), loading.description_of(run)
    source = loading.folder_of(Path(run))
    folder = Path(output) if output else source / "export"
    loading.export(gan, folder, description, card(description, gan.samples_seen, _summary(source)))
    print(folder)
    return folder


def _summary(run: Path) -> dict[str, Any]:
    """The numbers of summary.json, which may be a stranger's: {figures: {name: number}, parameters: {player: number}}."""
    try:
        found = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    groups = {key: found.get(key) if isinstance(found, dict) else None for key in ("figures", "parameters")}
    return {
        key: {str(name): value for name, value in group.items() if isinstance(value, int | float)}
        for key, group in groups.items()
        if isinstance(group, dict)
    }


def card(description: dict[str, Any], samples_seen: int, summary: dict[str, Any]) -> str:
    """The model card: what it is, how it was trained, what was measured, how to use it."""
    config = description["config"]
    figures = "\n".join(f"| {name} | {value:.5g} |" for name, value in summary.get("figures", {}).items())
    parameters = ", ".join(f"{player} {number:,}" for player, number in summary.get("parameters", {}).items())
    return f"""# {description["model"]} on {config["data"]["name"]}

Trained with gan_zoo {description["gan_zoo"]} for {samples_seen:,} samples, seed {config["seed"]}, {config["data"]["resolution"]} px,
{config["data"]["channels"]} channel(s). Parameters: {parameters or "see model.json"}.

    import gan_zoo
    gan = gan_zoo.load("this folder")
    pictures = gan.sample(64, seed=0)   # [64, ...], in [-1, 1]

The weights are in model.safetensors, the settings in model.json; reading them runs no code. The licence of the training data
holds for what the model learnt from them: state it here before you pass the model on.

| figure at the end of training | value |
|---|---|
{figures or "| (no summary.json beside the checkpoint) | |"}
"""


if __name__ == "__main__":
    main()
