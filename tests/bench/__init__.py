"""Measuring the server beside others: ``make bench``, or ``python -m tests.bench --only ranges``.

Here: the measurements, what they are held against, and their report. Not here: whether the
server is right (all other tests). README.md says how it is measured and what was learned.
"""
