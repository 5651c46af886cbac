"""How fast the store is, beside what a user would pick instead and beside the parts it is made of.

`python -m bench` lists what can be run. Reading order of the comparisons: `peers` (the command), `trials` (what is done
and how it is timed), `subjects` (who does it, and how each is set up), `series` (in what order, and that nobody
cheats), `report`, `picture` and `targets` (what came out).
"""
