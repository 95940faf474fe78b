"""Prices in cents, as text."""


def price_text(cents: int) -> str:
    """A price for people."""
    return f"{cents // 100}.{cents % 100:02d} EUR"
