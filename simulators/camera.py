"""A camera that does not exist: a river at its level, drawn. Every picture says that it is simulated.

    draw(level, scale, at, title) -> JPEG

The water stands against a staff gauge (量水標) with the reference levels marked; by night it is dark, as with a camera
without a lamp. The town's river has no other look: who sees the picture reads the level off it, to a decimetre or so.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 800, 450
_BED, _TOP = 400, 90  # pixels: where the scale's lowest and highest values are
_DAY = {"sky": "#bcd4e6", "bank": "#7c8f5a", "wall": "#9a948a", "water": "#6f7f83", "ink": "#20262b"}
_NIGHT = {"sky": "#0b0f14", "bank": "#141a12", "wall": "#1d1c1a", "water": "#0f1518", "ink": "#7d8790"}


def draw(level: float, levels: Sequence[float], at: datetime, title: str) -> bytes:
    """The river at `level` (m above gauge zero) at a local time. `levels`: the reference levels, from below. `title` in
    letters that Pillow's own font has.
    """
    low, high = min(0.0, level) - 0.2, max([*levels, level, 1.0]) + 0.4

    def y(value: float) -> float:
        return _BED - (value - low) / (high - low) * (_BED - _TOP)

    colours = _NIGHT if at.hour < 5 or at.hour >= 19 else _DAY
    image = Image.new("RGB", (WIDTH, HEIGHT), colours["sky"])
    pen = ImageDraw.Draw(image)
    pen.polygon([(0, 60), (150, 60), (260, HEIGHT), (0, HEIGHT)], fill=colours["bank"])
    pen.polygon([(WIDTH, 60), (650, 60), (540, HEIGHT), (WIDTH, HEIGHT)], fill=colours["wall"])
    surface = y(level)
    left, right = 150 + (surface - 60) * 110 / 390, 650 - (surface - 60) * 110 / 390
    pen.polygon([(left, surface), (right, surface), (540, HEIGHT), (260, HEIGHT)], fill=colours["water"])
    ripple = int(at.timestamp() // 60) % 40
    for n in range(5):
        line = surface + 12 + n * 18
        if line < HEIGHT - 6:
            pen.line([(left + 30 + ripple + n * 25, line), (left + 90 + ripple + n * 25, line)], fill=colours["ink"])
    pen.rectangle([505, y(high), 535, surface], fill="#f2f2f0" if colours is _DAY else "#4a4d50")
    font, large = ImageFont.load_default(15), ImageFont.load_default(26)
    for tenth in range(int(low * 10), int(high * 10) + 1):
        place = y(tenth / 10)
        if place < surface and place > y(high):
            pen.line([(505, place), (535 if tenth % 10 == 0 else 518, place)], fill="#101010", width=2)
            if tenth % 10 == 0:
                pen.text((541, place - 9), f"{tenth // 10} m", fill=colours["ink"], font=font)
    for value in levels:
        pen.line([(left - 10, y(value)), (505, y(value))], fill="#c02020" if value > level else "#e0a0a0", width=1)
    pen.rectangle([0, 0, WIDTH, 44], fill="#ffe14d")
    pen.text((12, 8), f"SIMULATED  {title}  {at:%Y-%m-%d %H:%M}", fill="#101010", font=large)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
