"""Who hears a device: path loss to each gateway, spreading factor, margin, and so what is lost and what comes twice.

    power at the gateway = 13 dBm + 2 dBi - path loss - hills - shadowing (of the place) - fading (of the moment)
    path loss            = 128.95 + 23.2 log10(km) dB, shadowing 7.8 dB: measured for LoRa by Petäjäjärvi et al.
    hills                = diffraction over the highest edge between the two (ITU-R P.526, one knife edge), by the
                           basemap's heights
    snr                  = power - noise; noise = -174 + 10 log10(125 kHz) + 6 dB = -117 dBm

A gateway hears a frame whose snr is not below what its spreading factor needs (Semtech SX1276: -7.5 dB at SF7, 2.5 dB
less for each further one). A device was mounted by somebody who looked: at the slowest data rate that it may use, its
best gateway has `LEAST_MARGIN` in the median, if need be by a longer mast. From there on adaptive data rate does as
network servers do: the fastest data rate with 10 dB to spare, and up to three transmissions (NbTrans) of a frame where
there is less to spare. SF11 and SF12 are not allowed in Japan (AS923 with its limit of 400 ms); a payload of more than
11 bytes needs SF9. Everything is a pure function of (seed, device, gateway, time).

Works badly for: collisions of frames; hills between two of the basemap's heights.

Sources: J. Petäjäjärvi, K. Mikhaylov, A. Roivainen, T. Hänninen, M. Pettissalo, "On the coverage of LPWANs: range
evaluation and channel attenuation model for LoRa technology", ITST 2015; LoRaWAN RP002 (AS923); ARIB STD-T108;
ITU-R P.526-15, Propagation by diffraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import cos, hypot, inf, log10, radians, sqrt

import numpy as np
from numpy.typing import NDArray

from devices.model import MapShape
from simulators.chance import Floats, Keys, normal, normals, uniform
from simulators.contours import inside
from simulators.frames import Reception

TRANSMITTED = 15.0  # dBm: 13 dBm and the gateway's antenna
NOISE = -117.0  # dBm, at the gateway
LEAST_MARGIN = 5.0  # dB, in the median
SPARE = 10.0  # dB, that adaptive data rate leaves
MOST_TRANSMISSIONS = 3
SLOWEST, FASTEST = 10, 7
SHORT_PAYLOAD = 11  # bytes: the most at SF10
SHADOWING = 7.8  # dB, standard deviation

_HIGHEST_SNR = 12.0  # dB: what a gateway reports at most
_NEAREST = 0.03  # km
_WAVELENGTH = 0.325  # m
_MOUNTED, _ROOF = 3.0, 15.0  # m above the ground: a device, a gateway
_STEPS = 24
_KM_A_DEGREE = 111.2
# Of Sigfox, whose base stations are far away and the operator's own.
_SIGFOX_FAINTEST, _SIGFOX_NOISE = -138.0, -145.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway of the town: its EUI, what people call it, and where it is."""

    key: str
    name: str
    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class Link:
    """How a device is heard: (gateway, dBm in the median) of each, the strongest first."""

    gateways: tuple[tuple[str, float], ...]
    spreading_factor: int
    transmissions: int

    @property
    def margin(self) -> float:
        """dB that its best gateway has to spare in the median."""
        return self.gateways[0][1] - NOISE - needed(self.spreading_factor)


def needed(spreading_factor: int) -> float:
    """The lowest snr at which a frame can be read, dB.

    >>> needed(7), needed(10)
    (-7.5, -15.0)
    """
    return -7.5 - 2.5 * (spreading_factor - 7)


def path_loss(km: float) -> float:
    """dB, in the median over all places so far away."""
    return 128.95 + 23.2 * log10(max(km, _NEAREST))


def slowest_for(payload: int) -> int:
    """The slowest spreading factor at which so many bytes may be sent."""
    return SLOWEST if payload <= SHORT_PAYLOAD else SLOWEST - 1


def link(
    seed: int,
    device: str,
    place: tuple[float, float],
    gateways: Sequence[Gateway],
    slowest: int,
    hills: Sequence[float] | None = None,
) -> Link:
    """How a device at (longitude, latitude) is heard by the gateways, with so many dB of hills before each."""
    powers = {}
    for gateway, hill in zip(gateways, hills or [0.0] * len(gateways), strict=True):
        east = (place[0] - gateway.longitude) * cos(radians(gateway.latitude))
        km = _KM_A_DEGREE * hypot(east, place[1] - gateway.latitude)
        powers[gateway.key] = (
            TRANSMITTED - path_loss(km) - hill + SHADOWING * normal(seed, device, gateway.key, "shadow")
        )
    best = max(powers.values())
    mast = max(0.0, NOISE + needed(slowest) + LEAST_MARGIN - best)
    ordered = sorted(((key, power + mast) for key, power in powers.items()), key=lambda each: (-each[1], each[0]))
    factor, transmissions = adapted(best + mast, slowest)
    return Link(tuple(ordered), factor, transmissions)


class Relief:
    """The hills of a basemap: how much they take from what a device sends to a gateway."""

    def __init__(self, shapes: Iterable[MapShape]) -> None:
        terrain = [
            (float(each.properties["height_m"]), _box(each.lines[0]), each.lines)
            for each in shapes
            if each.kind == "terrain"
        ]
        self._terrain = sorted(terrain, key=lambda each: -each[0])
        self._known: dict[tuple[tuple[float, float], str], float] = {}

    def height(self, place: tuple[float, float]) -> float:
        """The ground's height, m: the highest of the basemap's heights that it lies above."""
        x, y = place
        for height, (west, south, east, north), (outer, *holes) in self._terrain:
            if not (west <= x <= east and south <= y <= north):
                continue
            if inside(place, outer) and not any(inside(place, hole) for hole in holes):
                return height
        return 0.0

    def loss(self, place: tuple[float, float], gateway: Gateway) -> float:
        """dB, over the edge that stands out most between a device and a gateway."""
        key = (place, gateway.key)
        if key not in self._known:
            self._known[key] = self._over_the_edge(place, gateway)
        return self._known[key]

    def _over_the_edge(self, place: tuple[float, float], gateway: Gateway) -> float:
        top = (gateway.longitude, gateway.latitude)
        low, high = self.height(place) + _MOUNTED, self.height(top) + _ROOF
        east = (place[0] - top[0]) * cos(radians(top[1]))
        metres = 1000 * _KM_A_DEGREE * hypot(east, place[1] - top[1])
        if not self._terrain or metres < 300:
            return 0.0
        worst = -inf
        for step in range(1, _STEPS):
            x = step / _STEPS
            between = (place[0] + (top[0] - place[0]) * x, place[1] + (top[1] - place[1]) * x)
            over = self.height(between) - (low + (high - low) * x)
            worst = max(worst, over * sqrt(2 / (_WAVELENGTH * metres * x * (1 - x))))
        return knife_edge(worst)


def _box(ring: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """West, south, east and north of a ring."""
    return min(x for x, _ in ring), min(y for _, y in ring), max(x for x, _ in ring), max(y for _, y in ring)


def knife_edge(v: float) -> float:
    """Loss over an edge by the parameter v of ITU-R P.526, dB.

    >>> knife_edge(-1.0), round(knife_edge(0.0), 1), round(knife_edge(2.4), 1)
    (0.0, 6.0, 20.5)
    """
    return 0.0 if v <= -0.78 else 6.9 + 20 * log10(sqrt((v - 0.1) ** 2 + 1) + v - 0.1)


def adapted(best: float, slowest: int) -> tuple[int, int]:
    """The spreading factor and the number of transmissions that a network server settles on for a median power."""
    factor = next((f for f in range(FASTEST, slowest) if best - NOISE - needed(f) >= SPARE), slowest)
    spare = best - NOISE - needed(factor)
    return factor, 1 if spare >= SPARE else 2 if spare >= SPARE - 2.5 else MOST_TRANSMISSIONS


def receptions(
    link: Link, fading: float, seed: int, device: str, at: datetime, down: Callable[[str], bool]
) -> tuple[tuple[Reception, ...], int]:
    """Who hears what a device sends at a time, the best first, and how many of its further transmissions are heard too.

    The first are those of the first transmission that anybody heard; empty: nobody heard any. `down` says whether a
    gateway is out of order.
    """
    first: tuple[Reception, ...] = ()
    further = 0
    for number in range(link.transmissions):
        heard = []
        for gateway, median in link.gateways:
            faded = fading * normal(seed, device, gateway, "fading", at.timestamp(), number) if fading else 0.0
            snr = median + faded - NOISE
            if snr >= needed(link.spreading_factor) and not down(gateway):
                heard.append(reported(gateway, snr))
        if first:
            further += bool(heard)
        else:
            first = tuple(sorted(heard, key=lambda each: (-each.rssi, each.gateway)))
    return first, further


def reported(gateway: str, snr: float) -> Reception:
    """What a gateway says of a frame: its rssi is signal and noise together.

    >>> reported("g", -10.0), reported("g", 20.0)
    (Reception(gateway='g', rssi=-117, snr=-10.0), Reception(gateway='g', rssi=-97, snr=12.0))
    """
    rssi = NOISE + 10 * log10(1 + 10 ** (snr / 10))
    return Reception(gateway, round(rssi), min(_HIGHEST_SNR, round(4 * snr) / 4))


def by_base_stations(seed: int, device: str, fading: float, at: datetime) -> tuple[Reception, ...]:
    """Who hears a frame of Sigfox: one to four base stations of the operator, the best first."""
    heard = []
    for number in range(1 + int(4 * uniform(seed, device, "base stations"))):
        median = -112 - 18 * uniform(seed, device, "base station", number) - 3 * number
        power = median + (fading * normal(seed, device, "sigfox", number, at.timestamp()) if fading else 0.0)
        if power >= _SIGFOX_FAINTEST:
            name = f"{int(0xFFFF * uniform(seed, device, 'name', number)):04X}"
            heard.append(Reception(name, round(power), round(power - _SIGFOX_NOISE, 2)))
    return tuple(sorted(heard, key=lambda each: (-each.rssi, each.gateway)))


# --- the same for many at once ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Links:
    """How many devices are heard by as many gateways each: `power` in the median, dBm, of shape (devices, gateways)."""

    power: NDArray[np.float32]
    spreading_factor: NDArray[np.int8]
    transmissions: NDArray[np.int8]


def links(
    about: Keys,
    longitude: Floats,
    latitude: Floats,
    gateways: Sequence[Gateway],
    slowest: NDArray[np.int8],
    hills: Sequence[float] | None = None,
) -> Links:
    """`link` for devices that all have gateways at the same places, and the same hills before them."""
    powers = []
    for number, (gateway, hill) in enumerate(zip(gateways, hills or [0.0] * len(gateways), strict=True)):
        east = (longitude - gateway.longitude) * _KM_A_DEGREE * cos(radians(gateway.latitude))
        km = np.maximum(np.hypot(east, (latitude - gateway.latitude) * _KM_A_DEGREE), _NEAREST)
        powers.append(TRANSMITTED - 128.95 - 23.2 * np.log10(km) - hill + SHADOWING * normals(about, "shadow", number))
    power = np.stack(powers, axis=1)
    best = power.max(axis=1)
    mast = np.maximum(0.0, NOISE + (-7.5 - 2.5 * (slowest - 7)) + LEAST_MARGIN - best)
    best = best + mast
    factor = slowest.astype(np.int64)
    for each in range(SLOWEST - 1, FASTEST - 1, -1):
        factor = np.where((each < slowest) & (best - NOISE - needed(each) >= SPARE), each, factor)
    spare = best - NOISE - (-7.5 - 2.5 * (factor - 7))
    transmissions = np.where(spare >= SPARE, 1, np.where(spare >= SPARE - 2.5, 2, MOST_TRANSMISSIONS))
    return Links((power + mast[:, None]).astype(np.float32), factor.astype(np.int8), transmissions.astype(np.int8))


def heard(
    links: Links, which: NDArray[np.int64], about: Keys, fading: float, down: Mask, *question: object
) -> tuple[Floats, Mask, NDArray[np.int64]]:
    """`receptions` for the devices `which`: snr (devices, gateways), who heard it, and further transmissions heard.

    `down`: (devices, gateways), which of them are out of order.
    """
    power = links.power[which].astype(np.float64)
    limit = (-7.5 - 2.5 * (links.spreading_factor[which].astype(np.float64) - 7))[:, None]
    transmissions = links.transmissions[which]
    snr = np.full(power.shape, -np.inf)
    by = np.zeros(power.shape, dtype=bool)
    further = np.zeros(len(which), dtype=np.int64)
    for number in range(int(transmissions.max(initial=1))):
        trying = transmissions > number
        if number and not trying.any():
            break
        tried = power - NOISE
        if fading:
            for gateway in range(power.shape[1]):
                tried[:, gateway] += fading * normals(about, *question, "fading", gateway, number)
        now = (tried >= limit) & ~down & trying[:, None]
        before, any_now = by.any(axis=1), now.any(axis=1)
        further += before & any_now
        new = ~before & any_now
        snr[new], by[new] = tried[new], now[new]
    return snr, by, further
