"""What stands in a street scene: everything in metres, as a pure function of (seed, number).

X to the right, Y up, Z away from the viewer, who stands at X = `Camera.x`, Y = `Camera.height`, Z = 0 in a street that
runs along Z. Things are listed with their own small seed for what is drawn on them (windows, leaves).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from gan_zoo import chance

FAR = 130.0  # metres; what stands farther away is the backdrop


@dataclass(frozen=True)
class Camera:
    """focal: in heights of the picture. horizon, centre: where the street's vanishing point lies, in shares of the picture."""

    x: float
    height: float
    focal: float
    horizon: float
    centre: float


@dataclass(frozen=True)
class Building:
    """A box whose wall stands at |X| = front on one side of the street, from Z = start to end; roof: height of a gable."""

    side: int
    front: float
    start: float
    end: float
    height: float
    depth: float
    roof: float
    colour: tuple[float, float, float]  # hue, saturation, value
    style: int
    seed: int


@dataclass(frozen=True)
class Tree:
    x: float
    z: float
    height: float
    spread: float
    kind: int  # 0 round, 1 poplar, 2 conifer, 3 bush
    colour: tuple[float, float, float]
    seed: int


@dataclass(frozen=True)
class Car:
    """x: middle; z: the nearer end. kind: 0 hatchback, 1 saloon, 2 van, 3 bus. facing: 1 away from the viewer."""

    x: float
    z: float
    kind: int
    facing: int
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Person:
    x: float
    z: float
    height: float
    stride: float  # -1 .. 1, where in a step
    coat: tuple[float, float, float]
    trousers: tuple[float, float, float]
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    kind: int  # 0 coat, 1 dress, 2 with a bag


@dataclass(frozen=True)
class Pole:
    """kind: 0 lamp, 1 round sign, 2 traffic light, 3 bollard. arm: towards the street, -1 or 1."""

    x: float
    z: float
    kind: int
    height: float
    arm: int


Thing = Building | Tree | Car | Person | Pole


@dataclass(frozen=True)
class Scene:
    """evening: 0 noon ... 1 night falls. sun: the side it stands on. sides: what lies beyond the left and the right sidewalk."""

    camera: Camera
    road: float  # half its width
    sidewalk: float
    evening: float
    sun: int
    shadow: float  # metres that the houses' shadow reaches beyond their wall
    sides: tuple[str, str]
    crossing: float | None  # Z at which a street crosses
    crosswalk: float | None
    lanes: int
    backdrop: str
    clouds: tuple[tuple[float, float, float], ...]  # x, y, size in shares of the sky
    things: tuple[Thing, ...] = field(default=())
    seed: int = 0


def draw_scene(seed: int, number: int) -> Scene:
    """Scene `number` of the endless city `seed`."""
    return _Planner(Random(chance.mix(seed, "street", number))).scene()


class _Planner:
    """Draws one scene's numbers, always in the same order."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def scene(self) -> Scene:
        random = self.random
        self.road = random.choice((3.2, 4.0, 5.2, 6.4))
        self.sidewalk = random.uniform(2.2, 4.4)
        self.sides = tuple(random.choices(("blocks", "houses", "park"), (5, 3, 2), k=2))
        self.crossing = random.uniform(16, 45) if random.random() < 0.4 else None
        self.evening = random.uniform(0.65, 1.0) if random.random() < 0.35 else random.uniform(0.0, 0.3)
        camera = Camera(
            x=random.uniform(-0.75, 0.75) * self.road,
            height=random.uniform(1.7, 3.4),
            focal=random.uniform(0.85, 1.25),
            horizon=random.uniform(0.42, 0.58),
            centre=random.uniform(0.32, 0.68),
        )
        crosswalk = random.uniform(7, 20) if random.random() < 0.35 else None
        if self.crossing is not None:
            crosswalk = self.crossing - 4.5
        things: list[Thing] = []
        for index in range(2):
            things += self._side(index * 2 - 1, self.sides[index])
        things += self._traffic() + self._people(crosswalk)
        return Scene(
            camera=camera,
            road=self.road,
            sidewalk=self.sidewalk,
            evening=self.evening,
            sun=random.choice((-1, 1)),
            shadow=random.choice((0.0, random.uniform(1, 9))),
            sides=(self.sides[0], self.sides[1]),
            crossing=self.crossing,
            crosswalk=crosswalk,
            lanes=4 if self.road > 5.5 else 2,
            backdrop=random.choice(("towers", "towers", "hills", "trees")),
            clouds=tuple(
                (random.uniform(-0.1, 1.1), random.uniform(0.05, 0.8), random.uniform(0.1, 0.3))
                for _ in range(random.randrange(0, 6))
            ),
            things=tuple(sorted(things, key=_order)),
            seed=random.getrandbits(30),
        )

    def _open(self, z: float, reach: float = 0.0) -> bool:
        """True where no crossing street lies."""
        return self.crossing is None or not self.crossing - reach < z < self.crossing + 8 + reach

    def _side(self, side: int, kind: str) -> list[Thing]:
        edge = self.road + self.sidewalk
        things: list[Thing] = []
        if kind == "blocks":
            things += self._row(side, edge, gap=0.0, yard=0.0)
        elif kind == "houses":
            things += self._row(side, edge, gap=4.0, yard=3.0)
            things += self._trees(side, edge + 1.2, every=9.0, small=True)
        else:
            things += self._trees(side, edge + 2.0, every=5.0)
            things += self._trees(side, edge + 7.5, every=5.5)
            things += self._trees(side, edge + 15.0, every=7.0)
        if kind != "park" and self.random.random() < 0.5:
            things += self._trees(side, self.road + 0.9, every=self.random.uniform(8, 16), street=True)
        return things + self._poles(side)

    def _row(self, side: int, edge: float, gap: float, yard: float) -> list[Thing]:
        random, z, things = self.random, self.random.uniform(-12, -2), list[Thing]()
        tall = random.uniform(9, 26)
        while z < FAR:
            length = random.uniform(7, 11) if gap else random.uniform(8, 20)
            end = z + length
            if self.crossing is not None and end > self.crossing and z < self.crossing + 8:
                if self.crossing - z > 5:
                    end = self.crossing
                else:
                    z = self.crossing + 8
                    continue
            height = random.uniform(4.5, 6.5) if gap else max(6.5, random.gauss(tall, 0.3 * tall))
            things.append(
                Building(
                    side=side,
                    front=edge + yard + (random.uniform(0, 1.5) if gap else random.choice((0, 0, 0, 0.6))),
                    start=z,
                    end=end,
                    height=height,
                    depth=random.uniform(8, 14),
                    roof=random.uniform(2.0, 3.5) if gap else random.choice((0, 0, 0, 1.8)),
                    colour=self._wall(),
                    style=random.randrange(5),
                    seed=random.getrandbits(30),
                )
            )
            z = end + (
                random.uniform(0.4, 1.0) * gap if gap else (random.uniform(3, 6) * (random.random() < 0.12))
            )
        return things

    def _wall(self) -> tuple[float, float, float]:
        """Brick, terracotta, salmon, rose, cream or wine."""
        random = self.random
        hue, saturation, value = random.choice(
            (
                (8, 0.58, 0.66),
                (16, 0.55, 0.76),
                (12, 0.38, 0.88),
                (348, 0.3, 0.82),
                (30, 0.26, 0.95),
                (28, 0.38, 0.86),
                (2, 0.5, 0.5),
            )
        )
        return (
            hue + random.uniform(-4, 4),
            saturation + random.uniform(-0.05, 0.05),
            value + random.uniform(-0.06, 0.03),
        )

    def _trees(
        self, side: int, x: float, every: float, small: bool = False, street: bool = False
    ) -> list[Thing]:
        random, z, things = self.random, self.random.uniform(3, 3 + every), list[Thing]()
        kind = random.choice((0, 0, 0, 1, 2))
        while z < 0.7 * FAR:
            if self._open(z, 2):
                height = (
                    random.uniform(1.0, 2.2)
                    if small
                    else random.uniform(4.5, 7.0)
                    if street
                    else random.uniform(5, 11)
                )
                things.append(
                    Tree(
                        x=side * (x + random.uniform(-0.2, 0.2) * (1 if street else 5)),
                        z=z,
                        height=height,
                        spread=random.uniform(0.8, 1.2),
                        kind=3 if small else kind if street else random.choice((0, 0, 0, 1, 2, 3)),
                        colour=self._leaf(),
                        seed=random.getrandbits(30),
                    )
                )
            z += every * random.uniform(0.7, 1.3)
        return things

    def _leaf(self) -> tuple[float, float, float]:
        random = self.random
        return random.uniform(84, 142), random.uniform(0.48, 0.7), random.uniform(0.5, 0.7)

    def _poles(self, side: int) -> list[Thing]:
        random, things, x = self.random, list[Thing](), side * (self.road + 0.45)
        if random.random() < 0.75:
            z, every, height = random.uniform(5, 16), random.uniform(13, 24), random.uniform(4.6, 7)
            while z < 0.6 * FAR:
                if self._open(z):
                    things.append(Pole(x, z, 0, height, -side))
                z += every
        if random.random() < 0.5:
            things.append(Pole(x, random.uniform(5, 22), 1, random.uniform(2.3, 2.9), -side))
        if self.crossing is not None:
            things.append(Pole(x, self.crossing - 1, 2, 3.4, -side))
        if random.random() < 0.25:
            things += [Pole(x, z, 3, 1.0, -side) for z in (4.0, 5.8, 7.6, 9.4, 11.2)]
        return things

    def _traffic(self) -> list[Thing]:
        random, things = self.random, list[Thing]()
        for side in (-1, 1):
            if self.road > 3.5 and random.random() < 0.75:  # parked at the kerb
                z = random.uniform(4.5, 12)
                while z < 70:
                    if random.random() < 0.7 and self._open(z, 6):
                        things.append(Car(side * (self.road - 1.15), z, self._kind(), side, self._paint()))
                    z += random.uniform(6, 9)
            lane = side * (self.road / 2 if self.road < 5 else self.road / 3)
            z = random.uniform(7, 30)
            while z < 90:
                if random.random() < 0.6 and self.road > 3.5:
                    things.append(Car(lane - 0.3 * side, z, self._kind(0.06), side, self._paint()))
                z += random.uniform(10, 30)
        return things

    def _kind(self, bus: float = 0.0) -> int:
        return 3 if self.random.random() < bus else self.random.choices((0, 1, 2), (4, 4, 1))[0]

    def _paint(self) -> tuple[float, float, float]:
        """Teal, petrol, pale cyan, mint or red."""
        random = self.random
        return random.choice(
            (
                (174, 0.72, 0.7),
                (181, 0.8, 0.48),
                (178, 0.26, 0.93),
                (168, 0.42, 0.8),
                (358, 0.84, 0.84),
                (3, 0.86, 0.66),
            )
        )

    def _people(self, crosswalk: float | None) -> list[Thing]:
        random, things = self.random, list[Thing]()
        crowd = random.choice((2, 5, 9, 14))
        for _ in range(random.randrange(crowd + 1)):
            side = random.choice((-1, 1))
            x = side * (self.road + random.uniform(0.5, self.sidewalk - 0.4))
            things.append(self._person(x, 4.5 + 40 * random.random() ** 1.6))
        if crosswalk is not None:
            for _ in range(random.randrange(5)):
                things.append(
                    self._person(random.uniform(-1, 1) * self.road, crosswalk + random.uniform(0.4, 2.6))
                )
        return things

    def _person(self, x: float, z: float) -> Person:
        random = self.random
        return Person(
            x=x,
            z=z,
            height=random.uniform(1.1, 1.4) if random.random() < 0.15 else random.uniform(1.58, 1.88),
            stride=random.uniform(-1, 1),
            coat=(random.uniform(296, 329), random.uniform(0.4, 0.8), random.uniform(0.5, 0.95)),
            trousers=(random.uniform(295, 325), random.uniform(0.4, 0.65), random.uniform(0.22, 0.5)),
            skin=(random.uniform(324, 330), random.uniform(0.2, 0.42), random.uniform(0.6, 0.97)),
            hair=(random.uniform(298, 326), random.uniform(0.4, 0.6), random.uniform(0.16, 0.45)),
            kind=random.randrange(3),
        )


def _order(thing: Thing) -> tuple[bool, float]:
    """Back to front: houses first, because whatever else there is stands in the street before them."""
    return (False, -thing.start) if isinstance(thing, Building) else (True, -thing.z)
