"""How much an ordinary run kills, cuts and damages: tests take their numbers here, `test_amounts.py` adds them up."""

from __future__ import annotations

EVENINGS = 2
"""Of each configuration: a long one would take longer over each kill."""
KILLS_AN_EVENING = 85
CREATIONS = 15
KILLS_A_CREATION = 6
BACKUP_KILLS = 40
RESTORE_KILLS = 20
CLEANUP_KILLS = 20
"""One after the other, at steps at random. Kills at chosen steps come on top."""

CUTS_AN_EVENING = 70
CREATION_CUTS = 26
CLEANUP_CUTS = 15
COMPLETION_CUTS = 12
END_CUTS = 20
"""Power cuts, on each file system."""

FILES_AT_REST = 25
FILES_KILLED = 18
"""A sample has so many at least, and each is harmed in every way."""
RANDOM_HARMS = 330
"""Of each sample, all kinds of files in turn."""
