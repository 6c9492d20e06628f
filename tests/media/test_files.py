"""Files that are written whole."""

from __future__ import annotations

from pathlib import Path

from gan_zoo import media


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    media.publish(tmp_path / "new" / "a.txt", b"one")
    media.publish(tmp_path / "new" / "a.txt", b"two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"] and (
        tmp_path / "new" / "a.txt"
    ).read_bytes() == b"two"
