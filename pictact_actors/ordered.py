"""Collections that stay in order. The only importer of sortedcontainers."""

from __future__ import annotations

from sortedcontainers import SortedDict, SortedList

__all__ = ["SortedDict", "SortedList"]
