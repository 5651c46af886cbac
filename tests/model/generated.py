"""Values and records that hypothesis makes up: everything the contract allows."""

from __future__ import annotations

from hypothesis import strategies as st

from pictact_actors.model.records import (
    RECORDS,
    STATUSES,
    Analytics,
    AnsweredRequest,
    Lifetime,
    Match,
    Observation,
    PlayedMatch,
    Record,
    Round,
    Score,
    Texts,
    camel,
)
from pictact_actors.model.validate import ID_BYTES_MAX, NUMBER_MAX, ROUND_INDEX_MAX

ids = st.text(st.characters(exclude_characters=":", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
    lambda text: len(text.encode()) <= ID_BYTES_MAX
)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
counts = st.integers(0, NUMBER_MAX)
whole = st.integers(-NUMBER_MAX, NUMBER_MAX)
numbers = whole | st.floats(-NUMBER_MAX, NUMBER_MAX)
times = counts | st.floats(0, NUMBER_MAX)
half_points = st.integers(-(2**20), 2**20).map(lambda halves: halves / 2) | st.integers(-(2**20), 2**20)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(texts, parts, max_size=4),
    max_leaves=12,
)
_TAKEN = {"v", *(camel(name) for cls in RECORDS.values() for name in cls.__dataclass_fields__)}
unknown = st.none() | st.dictionaries(texts.filter(lambda name: name not in _TAKEN), plain, min_size=1, max_size=4)
_stamps = {"created_at": times, "updated_at": times, "unknown": unknown}
_metrics = ("invalid_rate", "avg_solve_time", "mod_responsiveness", "participation_rate")

matches = st.builds(
    Match,
    ids,
    status=st.sampled_from(STATUSES),
    subreddit=texts,
    rounds_total=counts,
    current_round=counts,
    theme=texts,
    created_by=texts,
    completed_at=st.none() | times,
    expires_at=st.none() | times,
    **_stamps,
)
rounds = st.builds(
    Round,
    ids,
    st.integers(0, ROUND_INDEX_MAX),
    prompt_text=texts,
    reference_images=st.lists(texts, max_size=4).map(Texts),
    start_ts=times,
    end_ts=times,
    winner_user=st.none() | ids,
    winner_comment_id=st.none() | texts,
    closed=st.booleans(),
    **_stamps,
)
scores = st.builds(Score, ids, ids, points=numbers, wins=whole, reached_at=times, **_stamps)
lifetimes = st.builds(
    Lifetime,
    ids,
    total_wins=whole,
    matches_played=counts,
    total_points=numbers,
    trophies=st.lists(ids, max_size=4).map(Texts),
    **_stamps,
)
played = st.builds(
    PlayedMatch, ids, ids, points=numbers, wins=whole, rank=counts, theme=texts, completed_at=times, **_stamps
)
analytics = st.builds(
    Analytics,
    ids,
    **{name: st.none() | numbers for name in _metrics},
    samples=st.dictionaries(st.sampled_from([camel(name) for name in _metrics]), counts),
    **_stamps,
)
observations = st.builds(
    Observation,
    ids,
    st.integers(1, NUMBER_MAX),
    **{name: st.none() | numbers for name in _metrics},
    subreddit=texts,
    **_stamps,
)
public_records: st.SearchStrategy[Record] = matches | rounds | scores | lifetimes | played | analytics | observations
answers = public_records.map(lambda record: {"key": record.key, "record": record.to_dict()}) | st.just({})
requests = st.builds(
    AnsweredRequest, st.sampled_from(["match", "lifetime"]), ids, ids, digest=texts, answer=answers, **_stamps
)

BY_CLASS: dict[type[Record], st.SearchStrategy[Record]] = {
    Match: matches,
    Round: rounds,
    Score: scores,
    Lifetime: lifetimes,
    PlayedMatch: played,
    Analytics: analytics,
    Observation: observations,
    AnsweredRequest: requests,
}
