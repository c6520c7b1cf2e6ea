"""A source that nobody has mapped yet: what it holds, and a mapping to complete."""

from features.connect.looking import Connected, connect

__all__ = ["Connected", "connect"]
