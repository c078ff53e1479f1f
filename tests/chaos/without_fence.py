"""Named as a plug-in, this takes the fence out of the worker that loads it. Only the negative control does."""

from __future__ import annotations

from tests.chaos.unfenced import Unfenced, take_out

take_out()

__all__ = ["Unfenced"]
