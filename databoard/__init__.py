"""Databoard: data challenges, from the kit to the leaderboard."""

__version__ = "0.1.0"
