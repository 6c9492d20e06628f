"""What stands in a painted street: trees, poles, cars and people, each a function of its numbers and the light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gan_zoo.data import street_palette as palette
from gan_zoo.data.drawing import Array
from gan_zoo.data.street_canvas import StreetCanvas
from gan_zoo.data.street_palette import hsv
from gan_zoo.data.street_scene import Car, Person, Pole, Tree


class StreetThings(StreetCanvas):
    """Paints one thing at a time, whatever was painted before lies behind it."""

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
            leaves = (self.noise_at(x * 5 + tree.seed % 64, y * 5 + tree.seed % 61) - 0.5).astype(np.float32)
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
