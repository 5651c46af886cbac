"""How the store bears a game's load: `python -m bench load`.

Hosts (threads, asyncio tasks, or both) carry out a seeded mix of the game's calls on one store. In an open loop calls
are due at a fixed rate, whether or not earlier ones were answered, and a latency counts from the moment a call was due:
a stall that keeps callers waiting shows as what it is ("coordinated omission" is what hides it otherwise).

Reading order: `plan` (what to run), `mix` (what is called), `arrivals` (when), `target` (the store, or another place
for the calls), `hosts` (who calls), `recorder` and `ledger` (how long it took, and what was promised), `running` (one
run from an empty directory to the last check), `ramp`, `soak` and `comparing` (what runs are put together for),
`result` (as data), `console`, `pictures` and `page` (for people).
"""
