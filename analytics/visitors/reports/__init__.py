"""Reports of the visitors: what a tourism office hands on, as tables that say what is missing in them.

    periods.py    months and years, fiscal (April to March) or calendar
    compare.py    a period beside the year before, in three ways
    counting.py   days of a spot -> a month or a year with its total, or with the reason why it has none
    standard.py   the criteria of 観光入込客統計に関する共通基準 that counts can answer
    layout.py     the columns of the table for the prefecture
    words.py      what stands in a report, in Japanese and English
    cells.py      what was asked for, and the cells of a day, a month, a year
    tables.py     the report by day, month and year;  changes.py: beside the year before
    prefecture.py the report for the prefecture: what the pages show is what the files hold
    kept.py       what the office says of its reports, in the database
    workbook.py   Excel       text_file.py   CSV
    building.py   reads the spots' days and makes a report of what somebody chose
    monthly.py    the job: the report of a month as a letter with its file, once

Every number is 延べ: passages or admissions by the formula of the spot, never persons.
"""
