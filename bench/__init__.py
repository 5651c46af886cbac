"""How fast the store is, beside what a user would pick instead and beside the parts it is made of.

`python -m bench` runs the canonical workload: points are awarded to players of a few matches, and each award counts
only once it would survive a power cut. Reading order: `workload` (what is done and how it is timed), `subjects` (who
does it), `series` (in what order, and that nobody cheats), `report` (the tables).
"""
