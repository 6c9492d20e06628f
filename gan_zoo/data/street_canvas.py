"""The arrays that a street scene is painted on: where things stand in the picture, and how a part is laid.

Plane: u to the right, v downwards, both in heights of the picture; v runs from 0 to 1, u from 0 to the aspect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gan_zoo.data import street_palette as palette
from gan_zoo.data.drawing import Array
from gan_zoo.data.street_palette import hsv
from gan_zoo.data.street_scene import Scene

NEAR = 0.6  # metres: what is nearer is not drawn
Point = tuple[float, float]


class Painted(NamedTuple):
    """picture: uint8 [3, H, W]; labels: uint8 [H, W]; instances: int16 [H, W], class * 1000 + number, or the class alone."""

    picture: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int16]


class StreetCanvas:
    """Colour and id of each of rows x columns, the camera of a scene, and its light."""

    def __init__(self, scene: Scene, rows: int, columns: int) -> None:
        self.scene, self.rows, self.columns = scene, rows, columns
        self.pixel = 1 / rows
        self.aspect = columns / rows
        self.u = ((np.arange(columns, dtype=np.float32) + 0.5) * self.pixel)[None, :]
        self.v = ((np.arange(rows, dtype=np.float32) + 0.5) * self.pixel)[:, None]
        self.colour = np.zeros((rows, columns, 3), np.float32)
        self.instance = np.zeros((rows, columns), np.int16)
        self.counts = [0] * len(palette.CLASSES)
        camera = scene.camera
        self.focal, self.centre, self.horizon = camera.focal, camera.centre * self.aspect, camera.horizon
        self.light = 1.0 - 0.52 * scene.evening
        self.noise = np.random.default_rng(scene.seed).random((64, 64), np.float32)

    # ---- plane and picture

    def project(self, x: float, y: float, z: float) -> Point:
        camera, z = self.scene.camera, max(z, NEAR)
        return (
            self.centre + self.focal * (x - camera.x) / z,
            self.horizon + self.focal * (camera.height - y) / z,
        )

    def slices(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        return (
            slice(
                min(max(int(top * self.rows) - 1, 0), self.rows),
                max(min(int(bottom * self.rows) + 2, self.rows), 0),
            ),
            slice(
                min(max(int(left * self.rows) - 1, 0), self.columns),
                max(min(int(right * self.rows) + 2, self.columns), 0),
            ),
        )

    def new(self, label: int) -> int:
        """The id of the next thing of a class."""
        self.counts[label] += 1
        return label * 1000 + min(self.counts[label], 999)

    def lay(
        self, box: tuple[slice, slice], mask: npt.NDArray[np.bool_], colour: Array, instance: int
    ) -> None:
        """Where the mask holds, the colour ([3] or [h, w, 3]) and the id; the box's rows and columns are the mask's."""
        target = self.colour[box]
        np.copyto(target, colour, where=mask[..., None])
        np.copyto(self.instance[box], np.int16(instance), where=mask)

    def tint(
        self, box: tuple[slice, slice], mask: npt.NDArray[np.bool_], factor: float, instance: int
    ) -> None:
        """Multiplies what this very thing shows under the mask: shading that never leaves its class."""
        target = self.colour[box]
        within = mask & (self.instance[box] == instance)
        np.multiply(target, np.float32(factor), out=target, where=within[..., None])

    def polygon(self, points: list[Point], colour: Array, instance: int) -> None:
        """A convex polygon of points in order, in one colour."""
        us, vs = [p[0] for p in points], [p[1] for p in points]
        box = self.slices(min(us), min(vs), max(us), max(vs))
        mask = self.inside(points, box)
        if mask is not None:
            self.lay(box, mask, colour, instance)

    def inside(self, points: list[Point], box: tuple[slice, slice]) -> npt.NDArray[np.bool_] | None:
        u, v = self.u[:, box[1]], self.v[box[0]]
        if not u.size or not v.size:
            return None
        edges = list(zip(points, points[1:] + points[:1], strict=True))
        turn = 1 if sum(a[0] * b[1] - b[0] * a[1] for a, b in edges) > 0 else -1
        mask: npt.NDArray[np.bool_] | None = None
        for (u0, v0), (u1, v1) in edges:
            along_u, along_v = turn * (u1 - u0), turn * (v1 - v0)
            within = (v * along_u + (along_v * u0 - along_u * v0)) >= u * along_v
            mask = within if mask is None else np.logical_and(mask, within, out=mask)
        return mask

    def ellipse(self, u: float, v: float, ru: float, rv: float, colour: Array, instance: int) -> None:
        box = self.slices(u - ru, v - rv, u + ru, v + rv)
        mask = np.square((self.u[:, box[1]] - u) / ru) + np.square((self.v[box[0]] - v) / rv) <= 1
        self.lay(box, mask, colour, instance)

    def stroke(self, start: Point, end: Point, width: float, colour: Array, instance: int) -> None:
        """A line with round ends, at least as wide as a pixel of the picture."""
        half = max(width, 1.9 * self.pixel) / 2
        left, right = sorted((start[0], end[0]))
        top, bottom = sorted((start[1], end[1]))
        box = self.slices(left - half, top - half, right + half, bottom + half)
        u, v = self.u[:, box[1]] - start[0], self.v[box[0]] - start[1]
        along_u, along_v = end[0] - start[0], end[1] - start[1]
        share = np.clip((u * along_u + v * along_v) / (along_u**2 + along_v**2 + 1e-12), 0, 1)
        mask = np.square(u - share * along_u) + np.square(v - share * along_v) <= half * half
        self.lay(box, mask, colour, instance)

    def colour_of(self, hue: float, saturation: float, value: float) -> Array:
        """A colour in the light of the hour; the darker, the more saturated, so that it stays clear of grey."""
        value = min(value * self.light, 1.0)
        return hsv(hue, min(max(saturation, 0.13 + 0.06 / value), 1.0), value)

    def noise_at(self, x: Array, y: Array) -> Array:
        """Smooth noise in [0, 1] of period 64, bilinear between whole numbers."""
        x, y = np.broadcast_arrays(x, y)
        i, j = np.floor(x), np.floor(y)
        a, b = (x - i).astype(np.float32), (y - j).astype(np.float32)
        i, j = i.astype(np.int64) & 63, j.astype(np.int64) & 63
        i1, j1 = (i + 1) & 63, (j + 1) & 63
        table = self.noise
        return (table[i, j] * (1 - a) + table[i1, j] * a) * (1 - b) + (
            table[i, j1] * (1 - a) + table[i1, j1] * a
        ) * b


def as_bytes(colour: Array, instance: npt.NDArray[np.int16]) -> Painted:
    """As it was painted."""
    picture = np.rint(colour * 255).clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
    labels = np.where(instance >= 1000, instance // 1000, instance).astype(np.uint8)
    return Painted(np.ascontiguousarray(picture), labels, instance)


def reduced(painter: StreetCanvas) -> Painted:
    """Half the size: a pixel has the class of most of its four parts, and the mean colour of those alone."""
    rows, columns = painter.instance.shape
    parts = (
        painter.instance.reshape(rows // 2, 2, columns // 2, 2)
        .transpose(1, 3, 0, 2)
        .reshape(4, rows // 2, -1)
    )
    colours = painter.colour.reshape(rows // 2, 2, columns // 2, 2, 3).transpose(1, 3, 0, 2, 4)
    colours = colours.reshape(4, rows // 2, columns // 2, 3)
    votes = (parts[:, None] == parts[None]).sum(1)  # [4, H, W]
    # of two against two the greater id wins: people and poles are thin
    best = np.argmax(votes.astype(np.int32) * 2**16 + parts, axis=0)
    chosen = np.take_along_axis(parts, best[None], 0)[0]
    share = (parts == chosen).astype(np.float32)
    colour = np.einsum("phw,phwc->hwc", share, colours) / share.sum(0)[..., None]
    return as_bytes(colour, chosen)
