"""What can be shown of a trained model: the views of gan_zoo.sample, one file a kind."""

from __future__ import annotations

from typing import Literal, NamedTuple

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

USES: dict[
    View, set[str]
] = {  # which fields of Options a view looks at; of a model told captions, also OF_A_CAPTION's
    "grid": {"n", "condition"},
    "interpolation": {"n", "condition", "path", "steps"},
    "arithmetic": {"condition", "plus", "minus"},
    "classes": {"n"},
    "nearest": {"n", "condition", "neighbours"},
    "video": {"n", "condition", "path", "seconds", "fps"},
}
OF_A_CAPTION: dict[View, set[str]] = {
    "grid": {"n", "caption", "other", "encoder"},
    "interpolation": {"n", "caption", "steps", "encoder"},
    "captions": {"n", "caption", "other", "steps", "encoder"},
    "caption_arithmetic": {"n", "caption", "other", "encoder"},
    "style": {"caption", "other", "style", "style_steps", "encoder"},
}


class Options(NamedTuple):
    """What a view may be told beside its seed, as gan_zoo.sample describes it."""

    n: int | None = None
    condition: int | list[int] | None = None
    path: Walk = "spherical"
    seconds: float = 8.0
    fps: int = 25
    steps: int = 9
    plus: list[list[int]] | None = None
    minus: list[list[int]] | None = None
    neighbours: int = 5
    caption: str | None = None
    other: str | None = None
    style: str | None = None
    style_steps: int = 1000
    encoder: str | None = None

    def beside_default(self) -> list[str]:
        """Names of those that were given another value than the default."""
        return [name for name, value in self._asdict().items() if value != self._field_defaults[name]]

    def captions(self) -> list[str]:
        return [text for text in (self.caption, self.other) if text is not None]
