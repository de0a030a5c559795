"""The level in one to six hours, with honest intervals: staff-internal by law (docs/rivers.md), pure numpy.

    record.py        what a forecaster may see: a gauge, its neighbours and its rain on one grid
    inputs.py        changes, rain and wetness of a record, each row from what was known by then
    linear.py        members that are linear in those, and in products of rain and wetness
    forest.py        a member of regression trees, kept as arrays
    stacking.py      how much each member counts, learned where it had not been trained
    running.py       how much the learned and the simple rule count by now, from what came true since
    intervals.py     how far off it may be, and whether that held by now
    forecaster.py    train(record) -> Forecaster; forecast(record, rows) -> Fan
    fan.py           what is expected, and the probability that a level is passed
    scores.py        PI, NSE, coverage, crossings, reliability

Everything is homogeneous: where nothing changes and no rain falls, nothing is expected to change, whatever the datum.
"""
