"""Known failure messages by theme, as data."""
