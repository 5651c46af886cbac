"""A detail of analytics as the archive has it: a plain line, for programs that know nothing of this store.

    line = { "postId", "seq", "observedAt" (epoch s), "invalidRate", "avgSolveTime" (s), "modResponsiveness" (s),
             "participationRate", "subreddit" }        null where nothing was observed, or it is not known

`postId`, `seq` and `observedAt` together name a detail: a post that is created anew may count from 1 again.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import cast

from pictact_actors.model import codec, keys
from pictact_actors.model.commands import RecordAnalytics
from pictact_actors.model.records import Observation, Record

_OBSERVED_AT = "observedAt"
_said = attrgetter("key", "created_at", *RecordAnalytics.METRICS, "subreddit", "unknown")


def line_of(detail: Observation) -> dict[str, object]:
    """Return a detail as a line of the archive."""
    shown = detail.to_dict()
    del shown["updatedAt"]
    named = {"postId": detail.post_id, "seq": detail.seq, _OBSERVED_AT: shown.pop("createdAt")}
    return {**named, **shown, "subreddit": detail.subreddit or None}


def detail_of(line: Mapping[str, object]) -> Observation:
    """Return the detail that a line was made of, but not when it was written. Raises `Rejected` if there is none."""
    shown = {name: value for name, value in line.items() if name != _OBSERVED_AT}
    shown.update(createdAt=line.get(_OBSERVED_AT), subreddit=line.get("subreddit") or "")
    key = keys.observation_key(str(line.get("postId")), cast("int", line.get("seq")))
    return cast("Observation", codec.from_dict(key, shown))


def is_same(detail: Observation, found: Record | None) -> bool:
    """Whether a record still says what was read of it; when it was written does not matter."""
    return isinstance(found, Observation) and bool(_said(found) == _said(detail))
