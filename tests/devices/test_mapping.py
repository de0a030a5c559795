"""The meaning of fields: a device's own entry goes before its model's, units are converted, and what cannot be meant is
said before anything is stored by it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.mapping import HIGHEST_MODULUS, MappingEntry, MappingError, Resolved, check, factors, resolve
from devices.model import ObservedProperty

LEVEL, RAIN, FLOW = ObservedProperty.WATER_LEVEL, ObservedProperty.PRECIPITATION, ObservedProperty.FLOW
HERE = {"": {LEVEL: 1, RAIN: 2}}


def test_without_a_scale_the_units_decide_and_the_offset_is_in_the_propertys_unit() -> None:
    assert factors(MappingEntry("depth", LEVEL, unit="mm", offset=1.2)) == (0.001, 1.2)


def test_a_scale_is_the_whole_truth() -> None:
    assert factors(MappingEntry("current", LEVEL, unit="mA", scale=0.625, offset=-2.5)) == (0.625, -2.5)


def test_a_field_without_unit_is_in_the_propertys() -> None:
    assert factors(MappingEntry("level", LEVEL)) == (1.0, 0.0)


def test_a_field_that_is_not_stored_has_no_factors() -> None:
    assert factors(MappingEntry("battery", None, unit="V")) is None


def test_other_dimensions_need_a_person() -> None:
    with pytest.raises(MappingError, match="mA cannot become m: give scale and offset yourself") as refused:
        factors(MappingEntry("current", LEVEL, unit="mA"))
    assert refused.value.field == "current"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (MappingEntry("", LEVEL), "has a name"),
        (MappingEntry("x" * 201, LEVEL), "has a name"),
        (MappingEntry("a\0", LEVEL), "has a name"),
        (MappingEntry("level", LEVEL, scale=0.0), "no value says anything"),
        (MappingEntry("level", LEVEL, scale=float("nan")), "no value says anything"),
        (MappingEntry("level", LEVEL, offset=float("inf")), "is no number"),
        (MappingEntry("level", LEVEL, unit="wet"), "no unit"),
        (MappingEntry("level", LEVEL, channel="c" * 41), "a channel has at most"),
        (MappingEntry("tips", RAIN, modulus=1), "begins anew"),
        (MappingEntry("tips", RAIN, modulus=HIGHEST_MODULUS + 1), "begins anew"),
        (MappingEntry("total", FLOW, modulus=65536), "is a counter: it gives a sum over time, and flow is none"),
        (MappingEntry("tips", RAIN, scale=-0.5, modulus=65536), "above 0"),
        (MappingEntry("tips", RAIN, scale=0.5, offset=1.0, modulus=65536), "no offset"),
    ],
)
def test_what_cannot_be_meant_is_said(entry: MappingEntry, said: str) -> None:
    with pytest.raises(MappingError, match=said):
        check([entry])


def test_a_field_can_be_one_thing_only() -> None:
    with pytest.raises(MappingError, match="twice"):
        check([MappingEntry("level", LEVEL), MappingEntry("level", RAIN)])


def test_an_own_entry_goes_before_the_models_for_its_field_and_for_its_property() -> None:
    defaults = [MappingEntry("distance", LEVEL, unit="mm"), MappingEntry("rain", RAIN, unit="mm")]
    own = [MappingEntry("distance", LEVEL, scale=-0.001, offset=8.5)]
    assert resolve(defaults, own, HERE) == (Resolved("distance", 1, -0.001, 8.5), Resolved("rain", 2, 1.0, 0.0))
    other_field = [MappingEntry("depth", LEVEL, unit="cm")]
    assert resolve(defaults, other_field, HERE) == (Resolved("depth", 1, 0.01, 0.0), Resolved("rain", 2, 1.0, 0.0))


def test_an_own_entry_can_say_that_a_field_is_not_stored() -> None:
    assert resolve([MappingEntry("rain", RAIN)], [MappingEntry("rain", None)], HERE) == ()


def test_an_own_entry_has_the_models_unit_where_it_says_none() -> None:
    defaults = [MappingEntry("depth", None, unit="cm")]
    assert resolve(defaults, [MappingEntry("depth", LEVEL)], HERE) == (Resolved("depth", 1, 0.01, 0.0),)


def test_what_a_model_measures_beside_is_left_out_where_nobody_watches_it() -> None:
    defaults = [MappingEntry("level", LEVEL), MappingEntry("flow", FLOW), MappingEntry("ch[1]", LEVEL, channel="2")]
    assert resolve(defaults, [], HERE) == (Resolved("level", 1, 1.0, 0.0),)


def test_what_a_person_said_is_never_left_out_silently() -> None:
    with pytest.raises(MappingError, match="no series flow, it has precipitation, water_level"):
        resolve([], [MappingEntry("flow", FLOW)], HERE)
    with pytest.raises(MappingError, match="which station the input '2' watches"):
        resolve([], [MappingEntry("level", LEVEL, channel="2")], HERE)
    with pytest.raises(MappingError, match="already fed by field a"):
        resolve([], [MappingEntry("a", LEVEL), MappingEntry("b", LEVEL)], HERE)
    with pytest.raises(MappingError, match="already fed by device other"):
        resolve([], [MappingEntry("a", LEVEL)], HERE, taken={1: "other"})


def test_inputs_of_a_logger_watch_other_stations() -> None:
    series = {"": {FLOW: 1}, "2": {FLOW: 7}}
    defaults = [MappingEntry("ch[0]", FLOW, unit="L/s"), MappingEntry("ch[1]", FLOW, unit="L/s", channel="2")]
    assert resolve(defaults, [], series) == (Resolved("ch[0]", 1, 3.6, 0.0), Resolved("ch[1]", 7, 3.6, 0.0))


def test_a_default_never_takes_a_series_from_another_device() -> None:
    assert resolve([MappingEntry("level", LEVEL)], [], HERE, taken={1: "other"}) == ()


def test_a_counter_of_the_model_stays_one_in_an_own_entry() -> None:
    defaults = [MappingEntry("tips", RAIN, scale=0.5, modulus=65536)]
    with pytest.raises(MappingError, match="no offset"):
        resolve(defaults, [MappingEntry("tips", RAIN, scale=0.2, offset=3.0)], HERE)
    with pytest.raises(MappingError, match="no offset"):
        resolve([], [MappingEntry("count", RAIN, offset=3.0)], HERE, counters=["count"])


entries = st.builds(
    MappingEntry,
    field=st.sampled_from(["a", "b", "c"]),
    observed_property=st.sampled_from([None, LEVEL, RAIN, FLOW]),
    unit=st.sampled_from([None, "mm", "m", "mA", "m3/h"]),
    scale=st.one_of(st.none(), st.sampled_from([0.0, -1.0, 2.0])),
    offset=st.sampled_from([0.0, 1.0]),
    channel=st.sampled_from(["", "1"]),
)


@given(
    st.lists(entries, max_size=4, unique_by=lambda entry: entry.field),
    st.lists(entries, max_size=4),
    st.dictionaries(st.sampled_from([1, 2, 3]), st.just("other"), max_size=2),
)
def test_every_field_and_every_series_is_there_once_at_most(
    defaults: list[MappingEntry], own: list[MappingEntry], taken: dict[int, str]
) -> None:
    series = {"": {LEVEL: 1, RAIN: 2}, "1": {LEVEL: 3}}
    try:
        check(defaults)
        rows = resolve(defaults, own, series, taken=taken)
    except MappingError:
        return
    assert len({row.field for row in rows}) == len(rows) == len({row.datastream_id for row in rows})
    assert not {row.datastream_id for row in rows} & set(taken)
    stored = {entry.field for entry in own if entry.observed_property is not None}
    assert stored <= {row.field for row in rows}
