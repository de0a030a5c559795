"""Units: what people write is understood, what measures the same is converted, and everything else is said in words."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import units
from devices.model import ObservedProperty
from devices.units import UnitError, check_unit, conversion, ucum


@pytest.mark.parametrize(
    ("unit", "wanted", "expected"),
    [
        ("mm", "m", (0.001, 0.0)),
        ("cm", "m", (0.01, 0.0)),
        ("[ft_i]", "m", (0.3048, 0.0)),
        ("L/s", "m3/h", (3.6, 0.0)),
        ("L/min", "m3/h", (0.06, 0.0)),
        ("m³/h", "m3/h", (1.0, 0.0)),
        ("MPa", "kPa", (1000.0, 0.0)),
        ("mAq", "kPa", (9.80665, 0.0)),
        ("psi", "kPa", (6.89475729317, 0.0)),
        ("℃", "K", (1.0, 273.15)),
        ("Cel", "[degF]", (1.8, 32.0)),
        ("%", "1", (0.01, 0.0)),
        ("ug/L", "mg/L", (0.001, 0.0)),
        ("", "1", (1.0, 0.0)),
        ("1", "{passage}", (1.0, 0.0)),
        ("人", "{person}", (1.0, 0.0)),
    ],
)
def test_a_unit_becomes_another(unit: str, wanted: str, expected: tuple[float, float]) -> None:
    assert conversion(unit, wanted) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("unit", ["mA", "1", "{person}", "kg", "m2", "dB"])
def test_what_does_not_measure_the_same_is_left_to_a_person(unit: str) -> None:
    with pytest.raises(UnitError, match="scale and offset"):
        conversion(unit, "m")


def test_a_logarithm_is_no_factor() -> None:
    with pytest.raises(UnitError, match="logarithm"):
        conversion("dB", "1")


def test_counts_of_different_things_are_different() -> None:
    with pytest.raises(UnitError, match=r"\{vehicle\} cannot become \{passage\}"):
        conversion("{vehicle}", "{passage}")


@pytest.mark.parametrize("unit", ["furlong per fortnight", "{", "m\0", "m/" * 3000 + "m", "", "10*400", "m9999"])
def test_nonsense_is_refused_in_words(unit: str) -> None:
    with pytest.raises(UnitError) as refused:
        conversion(unit, "kPa")
    assert len(str(refused.value)) < 200


@given(st.text(max_size=80))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        check_unit(text)
        scale, offset = conversion(text, "m")
    except UnitError:
        return
    assert scale != 0 and offset == 0


def test_the_units_of_all_properties_are_units() -> None:
    for observed in ObservedProperty:
        check_unit(observed.unit)
        assert conversion(observed.unit, observed.unit) == (1.0, 0.0)
        assert ucum(observed.unit) == observed.unit


@pytest.mark.parametrize("unit", sorted(units._USUAL))
def test_the_usual_units_are_units_for_the_library_too(unit: str) -> None:
    units._quantity(unit)
    assert ucum(unit) == unit


def test_the_library_is_loaded_only_for_what_is_not_usual() -> None:
    script = (
        "import sys; from devices.units import check_unit, conversion\n"
        "check_unit('mm')\n"
        "assert conversion('mm', 'mm') == (1.0, 0.0) and 'pint' not in sys.modules\n"
        "assert conversion('mm', 'm') == (0.001, 0.0) and 'pint' not in sys.modules\n"
        "assert conversion('mAq', 'kPa')[1] == 0.0 and 'pint' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_what_is_known_without_the_library_is_what_the_library_says() -> None:
    assert {pair: (factor, 0.0) for pair, factor in units.FACTORS.items()} == {
        pair: units.converted(*pair) for pair in units.FACTORS
    }
