"""Trains a GAN: python -m gan_zoo.train model=dcgan data=digits; --help lists every choice."""

from __future__ import annotations

from typing import Any

from gan_zoo.command import application


def run(config: dict[str, Any]) -> None:
    """One run, or one trial of a multirun; a failure ends the process with its exit code."""
    from hydra.core.hydra_config import HydraConfig

    from gan_zoo import launch, resuming
    from gan_zoo.devices import refuse_absent
    from gan_zoo.run import train

    overrides = list(HydraConfig.get().overrides.task)
    if config["resume"]:
        config = resuming.continued(config, overrides)
    refuse_absent(config)
    launch.refuse_other_number(config)
    several = config["trainer"]["devices"] * config["trainer"]["nodes"] > 1
    code = launch.launch(config, overrides) if several and not launch.is_child() else train(config)
    if code:
        raise SystemExit(code)


def main() -> None:
    application(run)


if __name__ == "__main__":
    main()
