"""Two games on the store, to be read and copied, and what drives them over real HTTP.

`web` is a web game on asyncio; `bot` is a moderator's bot with threads, behind `door`; `wire` is what they say alike.
The rest is `python -m bench hosts`: `dialect` (how an award is said to each), `process` (a host as a process), `drive`
(load, timed), `crowd` (players whose host is killed), `harness` (all of it, and the table).
"""
