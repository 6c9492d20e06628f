"""What an offline W&B run holds, read from its file: LevelDB's log framing around protocol buffers."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER = 32768, 7


def frames(content: bytes) -> Iterator[bytes]:
    """Whole records; a part has crc (4 bytes), length (2), kind (1 full, 2 first, 3 middle, 4 last), data."""
    at, parts = HEADER, b""  # the file begins with a header of its own
    while at + HEADER <= len(content):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + HEADER])
        if kind == 0:
            return
        parts += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):
            yield parts
            parts = b""


def wandb_records(folder: Path, seconds: float = 30.0) -> dict[str, list[Any]]:
    """history: a dict for each logged row; metrics: (name or glob, its axis) in the order of definition.

    Waits for the record that ends a run: wandb.finish() may return before its service has written all.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.rglob("*.wandb")
    deadline = time.monotonic() + seconds
    while True:
        records = [Record.FromString(frame) for frame in frames(file.read_bytes())]
        if any(record.HasField("exit") for record in records):
            break
        assert time.monotonic() < deadline, f"{file}: no end after {seconds} s, {len(records)} records"
        time.sleep(0.1)
    metrics = [record.metric for record in records if record.HasField("metric")]
    return {
        "history": [_row(record.history.item) for record in records if record.HasField("history")],
        "metrics": [(metric.glob_name or metric.name, metric.step_metric) for metric in metrics],
    }


def _row(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
