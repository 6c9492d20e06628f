"""What people look at and listen to: samples as files, their film, and the curves of a run.

One file a medium; `table.MEDIA` says which medium shows the samples of which modality.
"""

from gan_zoo.media import audio, pairs
from gan_zoo.media.captions import caption_sheet
from gan_zoo.media.curves import Numbers, Row, loss_curves, read_table, smoothed, terms_of
from gan_zoo.media.files import publish
from gan_zoo.media.films import film, write_film
from gan_zoo.media.pictures import Picture, as_bytes, as_image, grid, png
from gan_zoo.media.points import scatter
from gan_zoo.media.strips import labelled_strip
from gan_zoo.media.table import MEDIA, Medium, medium_of, save
from gan_zoo.media.text import lines

__all__ = [
    "MEDIA",
    "Medium",
    "Numbers",
    "Picture",
    "Row",
    "as_bytes",
    "as_image",
    "audio",
    "caption_sheet",
    "film",
    "grid",
    "labelled_strip",
    "lines",
    "loss_curves",
    "medium_of",
    "pairs",
    "png",
    "publish",
    "read_table",
    "save",
    "scatter",
    "smoothed",
    "terms_of",
    "write_film",
]
