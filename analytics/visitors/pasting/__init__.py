"""Counts as people keep them in a spreadsheet: dates in their spellings (`periods`), a block of them (`block`)."""
