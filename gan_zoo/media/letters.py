"""The letters that names and captions are written in."""

from __future__ import annotations

from pathlib import Path

from PIL import ImageFont


def font(size: int, text: str) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font, `size` px high; it has ASCII alone, so that for any other `text` matplotlib's DejaVu Sans."""
    if text.isascii():
        return ImageFont.load_default(size)
    import matplotlib

    wide = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(wide, size - 1)  # its letters are about a tenth wider
