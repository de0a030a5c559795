"""漏水調査: from what may be a leak to what was dug up, and how often that was right.

walk      where to search, and in which order to go there
case      a case and the steps taken in it; what state it is in and what it has lost
stored    cases in the town's database
figures   hit rate, km walked a leak, metres off, delays
"""
