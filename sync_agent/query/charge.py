"""What a query costs in query units: an estimate, fitted to what the service was seen to charge.

Recorded were 2.79 for no row, 2.87 for one, 3.18 for five, 8.94 for 45, 20.75 for 86 and 25.9 for
100, and some 6.05 for a COUNT of about 40 twins.
"""

from __future__ import annotations

PAGE_ROWS = 1_000
"""Rows of a page, as the agent asks for them."""
BASE = 2.79
ROW = 0.075
GROWTH = 0.00156  # each row adds this to the price of all
GROWTH_ROWS = 100  # there is no recording of more
COUNTED = 0.08
COUNTED_MAX = 1_000


def charge_of_rows(count: int) -> float:
    """Return what a page of so many rows costs."""
    row = ROW + GROWTH * min(count, GROWTH_ROWS)
    return round(BASE + row * count, 2)


def charge_of_count(counted: int) -> float:
    """Return what a COUNT of so many twins or relationships costs."""
    return round(BASE + COUNTED * min(counted, COUNTED_MAX), 2)


def charge_of_reading(count: int) -> float:
    """Return what it costs to read so many rows, page by page."""
    pages, rest = divmod(count, PAGE_ROWS)
    return pages * charge_of_rows(PAGE_ROWS) + (charge_of_rows(rest) if rest else 0.0)
