"""Where a step's time goes: python -m gan_zoo.profile model=dcgan data=digits steps=20."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from pydantic import PositiveInt

from gan_zoo.command import HELP, argument_help, parse_arguments, reported, wants_debug

OWN = ("steps", "warm_up", "rows", "output")


def main(argv: list[str] | None = None) -> None:
    """Settings are those of gan_zoo.train; steps, warm_up, rows and output are this command's."""
    argv = sys.argv[1:] if argv is None else argv
    if HELP & set(argv):
        print(argument_help(_options, reads_files=False))
        return
    own = [text for text in argv if re.match(rf"({'|'.join(OWN)})=", text)]
    with reported(wants_debug(argv)):
        options = parse_arguments(own, _options)
        profile([text for text in argv if text not in own], **options)


def _options(
    *, steps: PositiveInt = 20, warm_up: PositiveInt = 5, rows: PositiveInt = 15, output: str = "runs/profile"
) -> None:
    """Where a step's time goes, for the settings of any run: python -m gan_zoo.profile model=dcgan trainer.threads=1 steps=20.

    steps: how many are measured.
    warm_up: how many go before.
    rows: operators shown.
    output: folder of trace.json.
    """


def profile(
    overrides: list[str], *, steps: int = 20, warm_up: int = 5, rows: int = 15, output: str = "runs/profile"
) -> Path:
    """Plays `steps` steps under torch's profiler; prints the dearest operators and writes a trace. Returns its path."""
    import torch
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recorded

    from gan_zoo import config as configs
    from gan_zoo import loading
    from gan_zoo.devices import resolved
    from gan_zoo.run import data_module

    config = resolved(configs.validate(configs.compose(overrides)))
    torch.set_num_threads(config["trainer"]["threads"])
    gan, data = loading.build(config), data_module(config)
    data.begin(0, gan.batch_plan)
    activities = [
        ProfilerActivity.CPU,
        *([ProfilerActivity.CUDA] if config["trainer"]["accelerator"] == "gpu" else []),
    ]
    watch = _watch(recorded(activities=activities, record_shapes=False), steps, warm_up)
    _play(config, gan, data, watch)
    target = Path(output) / "trace.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    watch.recorder.export_chrome_trace(str(target))
    sort = "self_cuda_time_total" if len(activities) > 1 else "self_cpu_time_total"
    print(watch.recorder.key_averages().table(sort_by=sort, row_limit=rows, max_name_column_width=40))
    print(
        f"{1e3 * watch.seconds / steps:.1f} ms a step under the profiler; trace: {target} (open it in ui.perfetto.dev)"
    )
    return target


def _watch(recorder: Any, steps: int, warm_up: int) -> Any:
    import time

    from lightning.pytorch import Callback

    class Watch(Callback):
        """Starts the recorder after `warm_up` steps and ends the run `steps` later."""

        def __init__(self) -> None:
            self.recorder, self.seconds, self._started = recorder, 0.0, 0.0

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if pl_module.iteration == warm_up:
                self.recorder.__enter__()
                _wait_for(pl_module.device)
                self._started = time.perf_counter()
            elif pl_module.iteration == warm_up + steps:
                _wait_for(pl_module.device)
                # not what the recorder takes to gather itself
                self.seconds = time.perf_counter() - self._started
                self.recorder.__exit__(None, None, None)
                trainer.should_stop = True

    return Watch()


def _wait_for(device: Any) -> None:
    """Until an accelerator has done what it was given; a CPU has."""
    import torch

    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _play(config: dict[str, Any], gan: Any, data: Any, watch: Any) -> None:
    from lightning.pytorch import Trainer

    from gan_zoo.run import quiet

    quiet()
    gan.observing = False
    wanted = config["trainer"]
    Trainer(
        accelerator=wanted["accelerator"],
        devices=1,
        precision=wanted["precision"],
        max_epochs=-1,
        logger=False,
        callbacks=[watch],
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(gan, data)


if __name__ == "__main__":
    main()
