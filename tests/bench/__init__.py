"""Measuring the server beside others: ``make bench``, or ``python -m tests.bench --only ranges``.

README.md says how it is measured and what was learned.
"""
