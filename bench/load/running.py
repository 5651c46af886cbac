"""One run, from an empty directory to the last check."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns as now_ns
from time import sleep

from bench import machine
from bench.load.arrivals import NS, Arrivals
from bench.load.hosts import Hosts
from bench.load.ledger import Ledger
from bench.load.mix import Mix
from bench.load.plan import LoadPlan
from bench.load.recorder import Recorder
from bench.load.result import Run, measured
from bench.load.target import EmbeddedStore, Target
from bench.load.vitals import Vitals

WARM_UP = 0.1
"""Part of a run's seconds that goes before it, untimed; at most `WARM_UP_S_MAX`."""
WARM_UP_S_MAX = 3.0
OVERRUN_S_MAX = 5.0
"""How long calls that are due may wait for a host after the last one was due; in short runs a second more than these
last."""
INTERVALS = 120
"""Points of a run's curves, as far as they are `INTERVAL_S_MIN` apart."""
INTERVAL_S_MIN = 0.25
LOOK_S = 0.1
OPENING_HOSTS = 8
OPENING_S_MAX = 120.0

Tell = Callable[[str, float], None]
"""Takes what is being done and how much of the run is over (0 to 1)."""


def run(plan: LoadPlan, directory: Path, tell: Tell) -> Run:
    """Measure one run in a directory that does not exist yet. Raises whatever is not an error of the store."""
    yardsticks = machine.yardsticks(directory.parent)
    target = EmbeddedStore(directory, plan)
    try:
        return measure(plan, target, yardsticks, tell)
    finally:
        target.close()


def measure(plan: LoadPlan, target: Target, yardsticks: dict[str, float], tell: Tell) -> Run:
    """Measure one run on an empty target. Raises whatever is not an error of the store.

    What the load itself is made of is put out of the collector's sight, as hosts that answer people do with theirs:
    walking through it took 50 ms now and then, in which nobody was served.
    """
    mix, recorder = Mix(plan), Recorder(Ledger())
    _prepare(mix, target, recorder, tell)
    gc.collect()
    gc.freeze()
    try:
        return _measured(plan, target, mix, recorder, yardsticks, tell)
    finally:
        gc.unfreeze()


def _measured(
    plan: LoadPlan, target: Target, mix: Mix, recorder: Recorder, yardsticks: dict[str, float], tell: Tell
) -> Run:
    warm_up_s = min(plan.seconds * WARM_UP, WARM_UP_S_MAX)
    lasting_s = warm_up_s + plan.seconds
    arrivals = Arrivals(mix.operations(), plan.rate, lasting_s, min(plan.seconds + 1, OVERRUN_S_MAX))
    begins = arrivals.began + int(warm_up_s * NS)
    vitals = Vitals(target, recorder, max(INTERVAL_S_MIN, plan.seconds / INTERVALS))
    with Hosts(target, arrivals, recorder).running(plan.threads, plan.tasks) as ended:
        while now_ns() < begins and not ended():
            tell("warming up", 0.0)
            sleep(LOOK_S if plan.seconds > 1 else warm_up_s)
        recorder.begin(begins)
        vitals.begin(now_ns())
        while not ended():
            sleep(LOOK_S)
            vitals.look(now_ns())
            tell(vitals.line(), min(1.0, (now_ns() - begins) / (plan.seconds * NS)))
    vitals.end(now_ns())
    tell("checking", 1.0)
    verified = target.verify(recorder.ledger)
    return measured(plan, recorder, vitals, verified, arrivals.left, yardsticks)


def _prepare(mix: Mix, target: Target, recorder: Recorder, tell: Tell) -> None:
    """Make what is there before the load begins; untimed, but acknowledged like everything else."""
    tell("preparing", 0.0)
    recorder.from_ns = now_ns() + int(OPENING_S_MAX * NS) * 2
    for operation in mix.opening():
        target.call(operation)
        recorder.ledger.enter(operation, None)
    crowd = Arrivals(mix.crowd(), None, OPENING_S_MAX, 0.0)
    with Hosts(target, crowd, recorder).running(OPENING_HOSTS, 0) as ended:
        while not ended():
            sleep(LOOK_S)
