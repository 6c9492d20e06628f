"""What an offline W&B run holds, read from its file: LevelDB's log framing around protocol buffers."""

from __future__ import annotations

import json
import struct
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


def wandb_records(folder: Path) -> dict[str, list[Any]]:
    """history: a dict for each logged row; metrics: (name or glob, its axis) in the order of definition."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.rglob("*.wandb")
    found: dict[str, list[Any]] = {"history": [], "metrics": [], "config": []}
    for frame in frames(file.read_bytes()):
        record = Record()
        record.ParseFromString(frame)
        if record.HasField("history"):
            found["history"].append(
                {
                    "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                    for item in record.history.item
                }
            )
        elif record.HasField("metric"):
            found["metrics"].append(
                (record.metric.glob_name or record.metric.name, record.metric.step_metric)
            )
        elif record.HasField("config"):
            found["config"] += [(item.key, item.value_json) for item in record.config.update]
    return found
