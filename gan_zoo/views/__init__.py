"""What can be shown of a trained model: the views of gan_zoo.sample, one file a kind."""

from typing import Literal

View = Literal[
    "grid",
    "interpolation",
    "arithmetic",
    "classes",
    "nearest",
    "video",
    "captions",
    "caption_arithmetic",
    "style",
]
OF_LATENTS = ("interpolation", "arithmetic", "classes", "video")  # those that latents alone make
OF_CAPTIONS = ("captions", "caption_arithmetic", "style")  # those that need a caption
Walk = Literal["spherical", "straight", "walk"]
