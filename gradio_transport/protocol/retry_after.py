# SPDX-License-Identifier: Apache-2.0
"""The ``Retry-After`` header (RFC 9110 §10.2.3)."""

from __future__ import annotations


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds of a ``Retry-After`` header (RFC 9110 §10.2.3), or None if there is none.

    Args:
        value: Seconds, or an HTTP date.
        now: The current time, in seconds since the epoch, to make a date relative.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    from email.utils import parsedate_to_datetime  # slow to import, and rarely needed

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
