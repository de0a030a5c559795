"""A whole town of real processes under load, to which things happen; and after each of them a judge who counts.

    python -m tests.chaos --rounds 200        what `make chaos` runs; its last line is one JSON object

A round: devices publish, one fault of the table (`faults.py`) strikes, the town recovers by itself, and `judge.py`
compares what the broker took with what the database holds. Nothing in the product knows of this: the named points are
calls of psycopg and paho, at which `points.py` lets a process die.
"""
