"""How a street scene is painted: colour, class and instance of each pixel, with hard edges between classes.

Plane as in `street_canvas`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gan_zoo.data import street_palette as palette
from gan_zoo.data.drawing import Array
from gan_zoo.data.street_canvas import NEAR, Painted, as_bytes, reduced
from gan_zoo.data.street_palette import hsv
from gan_zoo.data.street_scene import Building, Car, Person, Pole, Scene, Tree
from gan_zoo.data.street_things import StreetThings


def paint(scene: Scene, height: int, width: int) -> Painted:
    """The scene at any size. Below 512 rows it is drawn twice as fine: a pixel has the class of most of its four parts,
    and the mean colour of those parts alone, so that no pixel's colour mixes two classes."""
    times = 2 if height < 512 else 1
    painter = StreetPainter(scene, height * times, width * times)
    painter.paint()
    return reduced(painter) if times == 2 else as_bytes(painter.colour, painter.instance)


class StreetPainter(StreetThings):
    """Paints one scene: sky, what closes the street, ground and houses, then what stands before them."""

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
        green = self.colour_of(96, 0.56, 0.62) * (0.92 + 0.16 * self.noise_at(x * 1.5, z * 0.8))[..., None]
        paved = np.where(x < 0, self.scene.sides[0] == "blocks", self.scene.sides[1] == "blocks")
        instance = np.where(paved, palette.SIDEWALK, palette.TREE).astype(np.int16)
        return np.where(paved[..., None], sand * np.float32(0.95), green), instance

    def road_colour(
        self, x: Array, z: Array, across: Array, deep: Array, crossing: npt.NDArray[np.bool_]
    ) -> Array:
        """Grey levels [h, W]: asphalt, its grain, lane marks and crosswalk."""
        scene = self.scene
        grey = (0.4 + 0.035 * (self.noise_at(x * 4, z * 2) - 0.5) / (1 + 3 * deep)) * self.light + 0.03
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
        along: Array
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
