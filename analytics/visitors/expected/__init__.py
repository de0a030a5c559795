"""What will be counted tomorrow and within the week; pure, on arrays.

counts       what was counted: hours or days of many counters on one grid of local time
calendar     the days: weekday, holiday, what lies beside them
situation    what is known of an hour at the time of its forecast
forecaster   learn from the past, say what to expect
intervals    how far from it the count may be
"""
