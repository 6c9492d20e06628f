"""How a street scene is painted: colour, class and instance of each pixel, with hard edges between classes.

Plane: u to the right, v downwards, both in heights of the picture; v runs from 0 to 1, u from 0 to the aspect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gan_zoo.data import street_palette as palette
from gan_zoo.data.drawing import Array
from gan_zoo.data.street_palette import hsv
from gan_zoo.data.street_scene import Building, Car, Person, Pole, Scene, Tree

NEAR = 0.6  # metres: what is nearer is not drawn
Point = tuple[float, float]


class Painted(NamedTuple):
    """picture: uint8 [3, H, W]; labels: uint8 [H, W]; instances: int16 [H, W], class * 1000 + number, or the class alone."""

    picture: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int16]


def paint(scene: Scene, height: int, width: int) -> Painted:
    """The scene at any size. Below 512 rows it is drawn twice as fine: a pixel has the class of most of its four parts,
    and the mean colour of those parts alone, so that no pixel's colour mixes two classes."""
    times = 2 if height < 512 else 1
    painter = StreetPainter(scene, height * times, width * times)
    painter.paint()
    return _reduced(painter) if times == 2 else _bytes(painter.colour, painter.instance)


def _bytes(colour: Array, instance: npt.NDArray[np.int16]) -> Painted:
    picture = np.rint(colour * 255).clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
    labels = np.where(instance >= 1000, instance // 1000, instance).astype(np.uint8)
    return Painted(np.ascontiguousarray(picture), labels, instance)


def _reduced(painter: StreetPainter) -> Painted:
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
    return _bytes(colour, chosen)


class StreetPainter:
    """Paints one scene on arrays of rows x columns."""

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

    # ---- the scene

    def paint(self) -> None:
        self.sky()
        self.backdrop()
        self.ground()
        kinds = {
            Building: self.building,
            Tree: self.tree,
            Car: self.car,
            Person: self.person,
            Pole: self.pole,
        }
        for thing in self.scene.things:
            kinds[type(thing)](thing)  # type: ignore[operator]

    def sky(self) -> None:
        evening = self.scene.evening > 0.5
        share = np.clip(self.v / self.horizon, 0, 1)[..., None]
        above, below = (
            (hsv(230, 0.68, 0.34), hsv(222, 0.4, 0.78))
            if evening
            else (hsv(213, 0.66, 0.88), hsv(206, 0.3, 0.97))
        )
        self.colour[:] = above + (below - above) * share**1.3
        self.instance[:] = palette.SKY
        cloud = hsv(224, 0.3, 0.82) if evening else hsv(211, 0.2, 0.99)
        for x, y, size in self.scene.clouds:
            self.cloud(x * self.aspect, y * self.horizon, size, cloud)

    def cloud(self, u: float, v: float, size: float, colour: Array) -> None:
        box = self.slices(u - size, v - 0.5 * size, u + size, v + 0.3 * size)
        x, y = (self.u[:, box[1]] - u) / size, (self.v[box[0]] - v) / size
        share = np.zeros((y.shape[0], x.shape[1]), np.float32)
        for puff, (at, up, radius) in enumerate(((-0.5, 0.02, 0.3), (0, -0.1, 0.42), (0.45, 0.03, 0.32))):
            radius *= 0.8 + 0.4 * float(self.noise[puff, int(size * 200) % 64])
            distance = np.sqrt(np.square(x - at) + np.square((y - up) * 1.6)) / radius
            share = np.maximum(share, np.clip(1.25 * (1 - distance), 0, 1))
        share *= np.clip((0.16 - y) * 8, 0, 1)
        share = (share * share * (3 - 2 * share))[..., None]
        self.colour[box] += (colour - self.colour[box]) * share

    def backdrop(self) -> None:
        """What closes the street: towers, hills or trees on the horizon."""
        kind, random = self.scene.backdrop, np.random.default_rng(self.scene.seed + 1)
        if kind == "towers":
            u = -0.1
            while u < self.aspect + 0.1:
                width, height = random.uniform(0.04, 0.11), random.uniform(0.02, 0.13)
                colour = self.colour_of(
                    random.uniform(-2, 22), random.uniform(0.2, 0.32), random.uniform(0.72, 0.9)
                )
                self.polygon(
                    [
                        (u, self.horizon - height),
                        (u + width, self.horizon - height),
                        (u + width, self.horizon + 0.01),
                        (u, self.horizon + 0.01),
                    ],
                    colour,
                    self.new(palette.BUILDING),
                )
                u += width
            return
        base, rough = (0.05, 0.05) if kind == "hills" else (0.025, 0.02)
        edge = np.zeros_like(self.u)
        for octave in range(1, 5):
            edge += (
                np.sin(self.u * 5 * 2**octave / (1.2 if kind == "hills" else 0.3) + random.uniform(0, 7))
                / 2**octave
            )
        mask = (self.v > self.horizon - base - rough * edge) & (self.v < self.horizon + 0.02)
        colour = self.colour_of(128 if kind == "hills" else 118, 0.36, 0.66 if kind == "hills" else 0.55)
        self.lay((slice(None), slice(None)), mask, colour, self.new(palette.TREE))

    def ground(self) -> None:
        """Road with its marks, sidewalks with their joints, lawns; the shadow of the houses."""
        scene, camera = self.scene, self.scene.camera
        top = min(max(int(np.ceil(self.horizon * self.rows)), 0), self.rows - 1)
        v = self.v[top:]
        z = self.focal * camera.height / np.maximum(v - self.horizon, 0.25 * self.pixel)  # [h, 1]
        x = (self.u - self.centre) * z / self.focal + camera.x  # [h, W]
        across = np.abs(x)
        finest = z / (self.focal * self.rows)  # metres a pixel is wide
        deep = finest * z / camera.height  # and deep
        crossing = np.zeros_like(z, bool)
        if scene.crossing is not None:
            crossing = (z > scene.crossing) & (z < scene.crossing + 8)
        road = (across < scene.road) | crossing
        walk = ~road & (across < scene.road + scene.sidewalk)
        lawn = ~road & ~walk
        colour = np.empty((*x.shape, 3), np.float32)
        colour[:] = self.road_colour(x, z, across, deep, crossing)[..., None]
        sand = self.colour_of(264, 0.25 + 0.1 * scene.evening, 0.85)
        joint = self._joints(x, z, deep)
        kerb = (across < scene.road + np.maximum(0.22, 0.7 * finest)) & walk
        np.copyto(colour, sand * (1 - 0.13 * joint[..., None]), where=walk[..., None])
        np.copyto(colour, sand * np.float32(1.12), where=kerb[..., None])
        colour_lawn, instance_lawn = self._beyond(x, z, sand)
        np.copyto(colour, colour_lawn, where=lawn[..., None])
        colour *= self._shadow(x)[..., None]
        self.colour[top:] = colour
        self.instance[top:] = np.where(road, palette.ROAD, np.where(walk, palette.SIDEWALK, instance_lawn))

    def _beyond(self, x: Array, z: Array, sand: Array) -> tuple[Array, npt.NDArray[np.int16]]:
        """Colour and id of what lies beyond the sidewalks: paving before blocks, lawn before houses and in parks."""
        green = self.colour_of(96, 0.56, 0.62) * (0.92 + 0.16 * self._noise(x * 1.5, z * 0.8))[..., None]
        paved = np.where(x < 0, self.scene.sides[0] == "blocks", self.scene.sides[1] == "blocks")
        instance = np.where(paved, palette.SIDEWALK, palette.TREE).astype(np.int16)
        return np.where(paved[..., None], sand * np.float32(0.95), green), instance

    def road_colour(
        self, x: Array, z: Array, across: Array, deep: Array, crossing: npt.NDArray[np.bool_]
    ) -> Array:
        """Grey levels [h, W]: asphalt, its grain, lane marks and crosswalk."""
        scene = self.scene
        grey = (0.4 + 0.035 * (self._noise(x * 4, z * 2) - 0.5) / (1 + 3 * deep)) * self.light + 0.03
        wheel = np.cos(np.clip((across - scene.road * 0.5) * 2.2, -np.pi, np.pi)) * 0.012
        grey = grey - wheel
        mark = np.float32(0.93 * self.light + 0.03)
        half = np.maximum(0.07, 0.35 * z / (self.focal * self.rows))  # never thinner than a part of a pixel
        dashed = ((z % 6) < 3) | (deep > 2)
        share = (across < half) & dashed
        if scene.lanes == 4:
            share = (np.abs(across - 0.12) < half) | ((np.abs(across - scene.road / 2) < half) & dashed)
        share = share | (np.abs(across - scene.road + 0.35) < half)
        share = share & ~crossing
        if scene.crosswalk is not None:
            zone = (z > scene.crosswalk) & (z < scene.crosswalk + 3)
            stripes = ((x + 50) % 1.0) < 0.5
            near = (z > scene.crosswalk - 1.2) & (z < scene.crosswalk - 0.8) & (x > 0)
            share = np.where(
                zone, stripes & (across < scene.road - 0.3), share | (near & (across < scene.road - 0.3))
            )
        strength = np.where(across < scene.road + 5, 0.9, 0.0) / (1 + 0.5 * np.maximum(deep - 1, 0))
        return (grey + (mark - grey) * share * strength).astype(np.float32)

    def _joints(self, x: Array, z: Array, deep: Array) -> Array:
        """The joints of the paving, fading where they are finer than pixels."""
        fine = np.clip(1.3 - deep * 1.2, 0, 1)
        return (((z % 1.4) < 0.1 + 0.4 * deep) | ((np.abs(x) % 1.1) < 0.07)) * fine

    def _shadow(self, x: Array) -> Array:
        scene = self.scene
        if scene.evening > 0.5 or not scene.shadow:
            return np.ones_like(x)
        edge = scene.road + scene.sidewalk - scene.shadow
        return np.where(x * scene.sun > edge, np.float32(0.72), np.float32(1))

    def _noise(self, x: Array, y: Array) -> Array:
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

    # ---- buildings

    def building(self, house: Building) -> None:
        instance = self.new(palette.BUILDING)
        lit = 1.06 if house.side != self.scene.sun else 0.8  # the sun shines on the other side's wall
        front = 0.92
        if self.scene.evening > 0.5:
            lit, front = 0.95, 0.85
        start = max(house.start, NEAR)
        if house.end <= NEAR:
            return
        inner, outer = house.side * house.front, house.side * (house.front + house.depth)
        if house.roof:
            self._roof(house, start, inner, outer, instance)
        if house.start > NEAR:
            self._wall(house, instance, front, facing=True)
            if house.roof:
                gable = [
                    self.project(x, y, start)
                    for x, y in (
                        (inner, house.height),
                        (outer, house.height),
                        ((inner + outer) / 2, house.height + house.roof),
                    )
                ]
                self.polygon(
                    gable, self.colour_of(house.colour[0], house.colour[1], house.colour[2] * front), instance
                )
        self._wall(house, instance, lit, facing=False)

    def _roof(self, house: Building, start: float, inner: float, outer: float, instance: int) -> None:
        ridge, top = (inner + outer) / 2, house.height + house.roof
        points = [
            self.project(inner * 0.98, house.height - 0.1, start),
            self.project(ridge, top, start),
            self.project(ridge, top, house.end),
            self.project(inner * 0.98, house.height - 0.1, house.end),
        ]
        self.polygon(points, self.colour_of(12, 0.56, 0.5 if house.style % 2 else 0.38), instance)

    def _wall(self, house: Building, instance: int, light: float, facing: bool) -> None:
        """One wall with its windows: the one that faces the viewer (at Z = start) or the one along the street."""
        start, inner = max(house.start, NEAR), house.side * house.front
        ends = (inner, house.side * (house.front + house.depth)) if facing else (inner, inner)
        corners = [
            self.project(x, y, z)
            for x, z in ((ends[0], start), (ends[1], start if facing else house.end))
            for y in (0, house.height)
        ]
        us, vs = [p[0] for p in corners], [p[1] for p in corners]
        box = self.slices(min(us), min(vs), max(us), max(vs))
        u, v = self.u[:, box[1]], self.v[box[0]]
        if not u.size or not v.size:
            return
        camera = self.scene.camera
        if facing:
            z = np.full_like(u, start)
            along = np.abs((u - self.centre) * start / self.focal + camera.x) - house.front
            length = house.depth
        else:
            lateral = u - self.centre
            lateral = np.where(np.abs(lateral) < 1e-5, 1e-5, lateral)
            z = self.focal * (inner - camera.x) / lateral
            along, length = z - house.start, house.end - house.start
        y = camera.height - (v - self.horizon) * z / self.focal  # [h, w]
        mask = (along >= 0) & (along < length) & (z >= NEAR) & (y >= 0) & (y < house.height)
        if not mask.any():
            return
        pixel = (z / np.float32(self.focal * self.rows)).astype(np.float32)  # metres a pixel is high here
        wide = pixel if facing else (pixel * z / abs(inner - camera.x)).astype(np.float32)
        if mask.shape[1] < 6:  # a sliver far away
            plain = self.colour_of(house.colour[0], house.colour[1], 0.9 * house.colour[2] * light)
            self.lay(box, mask, plain, instance)
            return
        colour = self._facade(house, along, y, length, pixel, wide, light)
        self.lay(box, mask, colour, instance)

    def _facade(
        self, house: Building, along: Array, y: Array, length: float, pixel: Array, wide: Array, light: float
    ) -> Array:
        """Colour [h, w, 3] of a wall at (along, y) metres; pixel, wide: how high and wide a pixel is there."""
        hue, saturation, value = house.colour
        wall = self.colour_of(hue, saturation, value * light)
        shade = 0.9 + 0.1 * np.clip(y / house.height, 0, 1)  # darker below
        shade = shade * np.where(y > house.height - np.maximum(0.5, pixel), 0.82, 1.0)
        pitch, floor = (2.6, 1.9, 3.2, 2.2, 2.9)[house.style], (3.2, 3.0, 3.4, 3.0, 3.1)[house.style]
        count = max(1, round(length / pitch))
        across = along * (count / length)
        column, s = np.floor(across).astype(np.int64), across - np.floor(across)
        storey, t = np.floor(y / floor).astype(np.int64), y / floor - np.floor(y / floor)
        share = self._between(
            s, *((0.26, 0.74), (0.3, 0.7), (0.12, 0.88), (0.2, 0.8), (0.28, 0.72))[house.style], wide / pitch
        )
        high = self._between(
            t, *((0.3, 0.78), (0.28, 0.82), (0.35, 0.8), (0.2, 0.86), (0.3, 0.75))[house.style], pixel / floor
        )
        shop = (storey == 0) & (house.height > 7)
        share = np.where(shop, self._between(s, 0.07, 0.93, wide / pitch), share)
        high = np.where(shop, self._between(t, 0.04, 0.72, pixel / floor), high)
        share = share * high * (y < house.height - 0.6)
        cell = self.noise[(column * 5 + house.seed) & 63, (storey * 11 + (house.seed >> 8)) & 63]
        glass = self._glass(cell, t, shop)
        colour = wall * shade[..., None].astype(np.float32)
        if house.style in (0, 3):  # string courses between the storeys
            line = np.clip((0.06 - np.abs(t - 0.02)) / 0.03, 0, 1) * np.clip(1.2 - 2 * pixel, 0, 1)
            brighter = min(0.12, 1 / float(wall.max()) - 1)  # clipped, a cream wall would turn yellow
            colour = colour * (1 + brighter * line[..., None]).astype(np.float32)
        return (colour + (glass - colour) * share[..., None]).astype(np.float32).clip(0, 1)

    def _glass(self, cell: Array, t: Array, shop: npt.NDArray[np.bool_]) -> Array:
        """Windows: dark wine by day with a paler upper part, lit ones amber in the evening."""
        dark = hsv(352, 0.46, 0.38 * (0.5 + 0.5 * self.light))
        pale = hsv(356, 0.34, 0.62 * (0.5 + 0.5 * self.light))
        sheen = np.clip(0.15 + 0.6 * t + 0.5 * (cell - 0.5), 0, 1)[..., None]
        glass = dark + (pale - dark) * sheen
        lit = cell < (0.42 if self.scene.evening > 0.5 else 0.02)
        lit = lit | (shop & (self.scene.evening > 0.5) & (cell < 0.8))
        amber = hsv(32, 0.52, 1.0) * (0.86 + 0.14 * t)[..., None]
        return np.where(lit[..., None], amber, glass).astype(np.float32)

    @staticmethod
    def _between(s: Array, low: float, high: float, pixel: Array) -> Array:
        """Share of a pixel of that size in which low < s < high, and half the contrast where windows are finer than pixels."""
        soft = np.maximum(pixel, 1e-3)
        inside = np.clip((s - low) / soft + 0.5, 0, 1) * np.clip((high - s) / soft + 0.5, 0, 1)
        fade = np.clip(1.6 - 2 * pixel, 0, 1)
        return inside * fade + (high - low) * (1 - fade)

    # ---- trees and poles

    def tree(self, tree: Tree) -> None:
        if tree.z < 2 + 0.7 * tree.height:  # its crown would hide the street
            return
        instance = self.new(palette.TREE)
        scale = self.focal / tree.z
        u, ground = self.project(tree.x, 0, tree.z)
        if abs(u - self.aspect / 2) > self.aspect / 2 + 4 * scale:
            return
        if tree.kind != 3:
            trunk = self.colour_of(78, 0.5, 0.3)
            top = ground - 0.55 * tree.height * scale
            self.stroke((u, ground), (u, top), 0.055 * tree.height * scale, trunk, instance)
        self._shade_ground(u, ground, 0.3 * tree.height * tree.spread * scale, 0.3 * scale)
        tall = tree.height * scale * self.rows
        blobs = self._blobs(tree)
        if tall < 14:  # a few pixels: one ball does
            middle = sum(blob[1] for blob in blobs) / len(blobs)
            blobs = [(0.0, middle, 0.3 * tree.height * (tree.kind != 1) + 0.14 * tree.height, 0.95)]
        for blob in blobs:
            self._crown(
                u + blob[0] * scale, ground - blob[1] * scale, blob[2] * scale, tree, instance, blob[3]
            )

    def _blobs(self, tree: Tree) -> list[tuple[float, float, float, float]]:
        """(x, y, radius, brightness) of the crown's parts in metres from the foot, back to front."""
        h, w = tree.height, tree.height * tree.spread
        if tree.kind == 1:
            return [
                (0, h * (0.3 + 0.13 * k), w * (0.13, 0.15, 0.15, 0.13, 0.09)[k], 0.88 + 0.05 * k)
                for k in range(5)
            ]
        if tree.kind == 2:
            return [
                (0, h * (0.25 + 0.17 * k), w * (0.27, 0.22, 0.16, 0.09)[k], 0.84 + 0.06 * k) for k in range(4)
            ]
        if tree.kind == 3:
            return [
                (dx * h, h * 0.42, h * 0.5, light) for dx, light in ((-0.6, 0.9), (0.6, 0.88), (0.0, 1.0))
            ]
        random = np.random.default_rng(tree.seed)
        around = [
            (0.21 * w * np.cos(a), h * 0.66 + 0.17 * h * np.sin(a))
            for a in random.uniform(0, 0.7) + np.arange(6) * 1.047
        ]
        blobs = [
            (x, y, w * random.uniform(0.13, 0.19), 0.84 + 0.3 * (y / h - 0.5))
            for x, y in sorted(around, key=lambda p: p[1])
        ]
        return [*blobs, (-0.04 * w * self.scene.sun, h * 0.72, w * 0.19, 1.04)]

    def _crown(self, u: float, v: float, radius: float, tree: Tree, instance: int, bright: float) -> None:
        """A leafy ball, lit from above and from the side of the sun, its outline broken by leaves."""
        box = self.slices(u - 1.2 * radius, v - 1.2 * radius, u + 1.2 * radius, v + 1.2 * radius)
        x, y = (self.u[:, box[1]] - u) / radius, (self.v[box[0]] - v) / radius
        if not x.size or not y.size:
            return
        leaves = np.zeros((1, 1), np.float32)
        if 3 < radius * self.rows < 12:
            spots = (np.rint(x * 5).astype(np.int64) + tree.seed) & 63, np.rint(y * 5).astype(np.int64) & 63
            leaves = self.noise[spots] - np.float32(0.5)
        elif radius * self.rows >= 12:
            leaves = (self._noise(x * 5 + tree.seed % 64, y * 5 + tree.seed % 61) - 0.5).astype(np.float32)
        if tree.kind == 2:
            mask = (np.abs(x) < 0.62 * (y + 1) + 0.25 * leaves) & (y < 0.75) & (y > -1)
        else:
            mask = np.square(x) + np.square(y) < 1 + 0.55 * leaves
        hue, saturation, value = tree.colour
        light = bright * (1 - 0.16 * y + 0.12 * self.scene.sun * x + 0.3 * leaves * min(1.0, 25 * radius))
        colour = self.colour_of(hue, saturation, value)
        self.lay(box, mask, (colour * light[..., None]).astype(np.float32), instance)

    def _shade_ground(self, u: float, v: float, ru: float, rv: float) -> None:
        """A soft shadow on what lies on the ground: road, sidewalk and lawn keep their class."""
        box = self.slices(u - ru, v - rv, u + ru, v + rv)
        away = np.square((self.u[:, box[1]] - u) / max(ru, 1e-6)) + np.square(
            (self.v[box[0]] - v) / max(rv, 1e-6)
        )
        ground = (self.instance[box] == palette.ROAD) | (self.instance[box] == palette.SIDEWALK)
        factor = 1 - 0.4 * np.clip(1.4 * (1 - away), 0, 1) * ground
        self.colour[box] *= factor[..., None].astype(np.float32)

    def pole(self, pole: Pole) -> None:
        if pole.z < 1.5:
            return
        instance, scale = self.new(palette.POLE), self.focal / pole.z
        u, ground = self.project(pole.x, 0, pole.z)
        top = ground - pole.height * scale
        metal = self.colour_of(53, 0.62, 0.72)
        width = (0.13, 0.09, 0.13, 0.2)[pole.kind] * scale
        self.stroke((u, ground), (u, top), width, metal, instance)
        if pole.kind == 0:
            self._lamp(u, top, scale, pole.arm, metal, width, instance)
        elif pole.kind == 1:
            self.ellipse(
                u, top + 0.3 * scale, 0.34 * scale, 0.34 * scale, self.colour_of(54, 0.85, 0.98), instance
            )
            self.ellipse(
                u, top + 0.3 * scale, 0.22 * scale, 0.22 * scale, self.colour_of(51, 0.9, 0.7), instance
            )
        elif pole.kind == 2:
            self._traffic_light(u, top, scale, instance)

    def _lamp(
        self, u: float, top: float, scale: float, arm: int, metal: Array, width: float, instance: int
    ) -> None:
        end = u + arm * 1.1 * scale
        self.stroke((u, top), (end, top - 0.12 * scale), 0.8 * width, metal, instance)
        on = self.scene.evening > 0.5
        lamp = hsv(56, 0.38, 1.0) if on else self.colour_of(54, 0.45, 0.92)
        self.stroke(
            (end - 0.1 * scale, top - 0.1 * scale),
            (end + arm * 0.3 * scale, top - 0.08 * scale),
            0.22 * scale,
            lamp,
            instance,
        )

    def _traffic_light(self, u: float, top: float, scale: float, instance: int) -> None:
        half = 0.19 * scale
        corners = [
            (u - half, top),
            (u + half, top),
            (u + half, top + 1.0 * scale),
            (u - half, top + 1.0 * scale),
        ]
        self.polygon(corners, self.colour_of(52, 0.7, 0.36), instance)
        on = self.scene.seed % 3
        for lamp in range(3):
            colour = hsv(57, 0.5, 1.0) if lamp == on else self.colour_of(52, 0.75, 0.55)
            self.ellipse(u, top + (0.2 + 0.3 * lamp) * scale, 0.11 * scale, 0.11 * scale, colour, instance)

    # ---- cars and people

    def car(self, car: Car) -> None:
        if car.z < 3.2 or self.focal * self.rows / car.z < 1.2:
            return
        instance = self.new(palette.CAR)
        wide, high, long, waist = (
            (0.86, 1.48, 3.9, 0.92),
            (0.9, 1.42, 4.6, 0.9),
            (0.98, 2.1, 5.0, 1.15),
            (1.25, 3.1, 11.0, 1.35),
        )[car.kind]
        scale = self.focal / car.z
        u, ground = self.project(car.x, 0, car.z)
        self._shade_ground(u, ground, 1.25 * wide * scale, 0.22 * scale)
        hue, saturation, value = car.colour
        body = self.colour_of(hue, saturation, value)
        if scale * self.rows < 3:  # metres are three pixels: a box with a window does
            self._far_car(car, wide, high, waist, body, instance)
            return
        self._car_side(car, wide, high, long, waist, instance)
        self._car_end(car, wide, high, waist, body, instance)

    def _far_car(self, car: Car, wide: float, high: float, waist: float, body: Array, instance: int) -> None:
        p = lambda x, y: self.project(car.x + x * wide, y, car.z)  # noqa: E731
        self.polygon([p(-0.9, 0), p(-0.9, 0.4), p(0.9, 0.4), p(0.9, 0)], self.tyres(car), instance)
        self.polygon([p(-1, 0.3), p(-1, waist), p(1, waist), p(1, 0.3)], body, instance)
        self.polygon(
            [p(-0.9, waist), p(-0.75, high), p(0.75, high), p(0.9, waist)], self.glazing(car), instance
        )

    def _car_side(self, car: Car, wide: float, high: float, long: float, waist: float, instance: int) -> None:
        """The flank that is seen, the bonnet or boot, the roof."""
        hue, saturation, value = car.colour
        flank = -1 if car.x > self.scene.camera.x else 1
        x, z = car.x + flank * wide, car.z
        light = 0.94 if flank == -self.scene.sun else 0.74
        side = self.colour_of(hue, saturation, value * light)
        dark, tyre = self.glazing(car), self.tyres(car)
        back, front = (
            (0.12, 0.75)
            if car.kind == 1
            else (0.02, 0.7)
            if car.kind == 0
            else (0.0, 0.86)
            if car.kind == 2
            else (0.0, 1.0)
        )
        if car.facing < 0:
            back, front = 1 - front, 1 - back
        p = lambda y, along, inset=0.0: self.project(x - flank * inset, y, z + along * long)  # noqa: E731
        top = self.colour_of(hue, saturation, value * 1.06)
        deck = [
            self.project(car.x + s * wide, waist, z + a * long) for s, a in ((-1, 0), (1, 0), (1, 1), (-1, 1))
        ]
        self.polygon(deck, top, instance)
        slope = 0.0 if car.kind == 3 else 0.1
        roof = [
            self.project(car.x + s * (wide - 0.14), high, z + a * long)
            for s, a in ((-1, back + slope), (1, back + slope), (1, front - slope), (-1, front - slope))
        ]
        self.polygon([p(0.28, 0), p(waist, 0), p(waist, 1), p(0.28, 1)], side, instance)
        self.polygon(
            [p(waist, back), p(high, back + slope, 0.14), p(high, front - slope, 0.14), p(waist, front)],
            side,
            instance,
        )
        glass = high - 0.12 if car.kind != 3 else high - 0.5
        sill = waist + 0.02
        for first, last in ((0.06, 0.46), (0.52, 0.94)):
            a, b = back + (front - back) * first, back + (front - back) * last
            lean_a, lean_b = (slope * 0.8 if first < 0.1 else 0.0), (slope * 0.8 if last > 0.9 else 0.0)
            self.polygon(
                [p(sill, a, 0.02), p(glass, a + lean_a, 0.12), p(glass, b - lean_b, 0.12), p(sill, b, 0.02)],
                dark,
                instance,
            )
        self.polygon(roof, top, instance)
        for along in (0.18, 0.82):
            middle, edge = p(0.33, along), p(0.33, along + 0.33 / long)
            radius = 0.33 * self.focal / (z + along * long)
            self.ellipse(*middle, max(abs(edge[0] - middle[0]), 0.6 * self.pixel), radius, tyre, instance)
            self.ellipse(
                *middle,
                max(0.5 * abs(edge[0] - middle[0]), 0.3 * self.pixel),
                0.5 * radius,
                self.hub(car),
                instance,
            )

    def _car_end(self, car: Car, wide: float, high: float, waist: float, body: Array, instance: int) -> None:
        """The end that faces the viewer: cabin with its window, body, lights, bumper and wheels."""
        tyre, dark = self.tyres(car), self.glazing(car)
        p = lambda x, y, z=car.z: self.project(car.x + x * wide, y, z)  # noqa: E731
        for side in (-1, 1):
            self.polygon(
                [p(side * 0.96, 0), p(side * 0.96, 0.45), p(side * 0.66, 0.45), p(side * 0.66, 0)],
                tyre,
                instance,
            )
        lean = (0.35, 0.7, 0.2, 0.0)[car.kind]
        cabin = [p(-0.92, waist), p(-0.76, high, car.z + lean), p(0.76, high, car.z + lean), p(0.92, waist)]
        if car.kind == 3:
            cabin = [p(-1, waist), p(-0.97, high), p(0.97, high), p(1, waist)]
        self.polygon(cabin, body * np.float32(0.9), instance)
        inset = high - (0.1 if car.kind != 3 else 0.45)
        self.polygon(
            [
                p(-0.8, waist + 0.03),
                p(-0.68, inset, car.z + lean),
                p(0.68, inset, car.z + lean),
                p(0.8, waist + 0.03),
            ],
            dark,
            instance,
        )
        pane = [
            p(0.1, waist + 0.03),
            p(0.2, inset, car.z + lean),
            p(0.45, inset, car.z + lean),
            p(0.35, waist + 0.03),
        ]
        self.polygon(pane, dark * np.float32(1.5), instance)
        shell = [
            p(-1, 0.36),
            p(-1, waist - 0.08),
            p(-0.94, waist + 0.02),
            p(0.94, waist + 0.02),
            p(1, waist - 0.08),
            p(1, 0.36),
            p(0.94, 0.26),
            p(-0.94, 0.26),
        ]
        self.polygon(shell, body, instance)
        self.polygon(
            [p(-0.98, 0.26), p(-1, 0.44), p(1, 0.44), p(0.98, 0.26)], body * np.float32(0.62), instance
        )
        on = self.scene.evening > 0.5 or car.facing < 0
        lamp = self.trim(car, 1.0, 1.0 if on else 0.85)
        for side in (-1, 1):
            self.polygon(
                [
                    p(side * 0.92, waist - 0.28),
                    p(side * 0.92, waist - 0.1),
                    p(side * 0.66, waist - 0.12),
                    p(side * 0.66, waist - 0.28),
                ],
                lamp,
                instance,
            )
        self.polygon(
            [p(-0.24, waist - 0.3), p(-0.24, waist - 0.2), p(0.24, waist - 0.2), p(0.24, waist - 0.3)],
            self.trim(car, 1.0, 0.9 * self.light),
            instance,
        )

    def trim(self, car: Car, pale: float, value: float) -> Array:
        """Glass, tyres, plates: of the hue of the paint, so that no pixel that shares both leaves the class."""
        hue = car.colour[0]
        if not 100 < hue < 300:  # red: saturated throughout, that is what tells it from a wall
            return hsv(hue, 0.86 - 0.08 * pale, value)
        return hsv(180, 0.7 - 0.5 * pale, value)

    def glazing(self, car: Car) -> Array:
        return self.trim(car, 0.0, 0.3 * (0.5 + 0.5 * self.light))

    def tyres(self, car: Car) -> Array:
        return self.trim(car, 0.0, 0.15)

    def hub(self, car: Car) -> Array:
        return self.trim(car, 0.9, 0.66 * self.light)

    def person(self, person: Person) -> None:
        if person.z < 2.5 or self.focal * self.rows / person.z < 1.5:
            return
        instance, scale = self.new(palette.PERSON), self.focal / person.z * person.height
        u, ground = self.project(person.x, 0, person.z)
        self._shade_ground(u, ground, 0.28 * scale, 0.05 * scale)
        at = lambda x, y: (u + x * scale, ground - y * scale)  # noqa: E731
        coat, trousers = self.colour_of(*person.coat), self.colour_of(*person.trousers)
        skin, hair = self.colour_of(*person.skin), self.colour_of(*person.hair)
        if scale * self.rows < 14:
            self.stroke(at(0, 0.45), at(0, 0.05), 0.15 * scale, trousers, instance)
            self.stroke(at(0, 0.75), at(0, 0.45), 0.25 * scale, coat, instance)
            self.stroke(at(0, 0.91), at(0, 0.9), 0.13 * scale, skin, instance)
            return
        step = 0.07 * person.stride
        for leg in (-1, 1):
            self.stroke(
                at(0.035 * leg, 0.5), at(0.035 * leg + leg * step, 0.03), 0.075 * scale, trousers, instance
            )
        self.stroke(at(0.09, 0.76), at(0.12 - step, 0.47), 0.055 * scale, coat * np.float32(0.8), instance)
        hem, half = (0.3, 0.14) if person.kind == 1 else (0.42, 0.1)
        self.polygon([at(-half, hem), at(-0.1, 0.8), at(0.1, 0.8), at(half, hem)], coat, instance)
        self.ellipse(*at(0, 0.79), 0.1 * scale, 0.045 * scale, coat, instance)
        self.stroke(at(-0.1, 0.76), at(-0.13 + step, 0.47), 0.055 * scale, coat * np.float32(0.88), instance)
        if person.kind == 2:
            self.polygon(
                [at(0.06, 0.34), at(0.06, 0.5), at(0.2, 0.5), at(0.2, 0.34)],
                self.colour_of(318, 0.55, 0.42),
                instance,
            )
        self.ellipse(*at(0, 0.93), 0.062 * scale, 0.08 * scale, hair, instance)
        self.ellipse(*at(0.008, 0.915), 0.05 * scale, 0.062 * scale, skin, instance)
        self.tint(
            self.slices(u, ground - scale, u + 0.2 * scale, ground),
            self._right_of(u, ground, scale),
            0.86,
            instance,
        )

    def _right_of(self, u: float, ground: float, scale: float) -> npt.NDArray[np.bool_]:
        """The half of a figure that is turned from the sun."""
        box = self.slices(u, ground - scale, u + 0.2 * scale, ground)
        x = np.broadcast_to(self.u[:, box[1]], (box[0].stop - box[0].start, self.u[:, box[1]].shape[1]))
        return x > u + 0.03 * scale
