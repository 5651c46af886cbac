"""Every command of the game as an awaitable method: what the asyncio store and its transactions have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from typing import cast

from pictact_actors.model.commands import (
    AddTrophy,
    AwardPoints,
    CancelMatch,
    CloseRound,
    Command,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    RecordAnalytics,
    UpdateMatch,
    UpdateRound,
)
from pictact_actors.model.records import Analytics, Lifetime, Match, Round, Score, Standing
from pictact_actors.model.validate import Number
from pictact_actors.verbs import update_of


class AsyncVerbs(ABC):
    """The commands of `Verbs`, awaitable."""

    @abstractmethod
    def _do(self, command: Command, timeout: float | None) -> Awaitable[object]:
        """Have a command done and return its answer."""

    async def create_match(
        self,
        post_id: str,
        *,
        subreddit: str,
        rounds_total: int,
        theme: str,
        created_by: str,
        status: str = "active",
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Match:
        """Create a match, `lobby` or `active`. Raises `AlreadyExists`."""
        command = CreateMatch(
            post_id,
            subreddit=subreddit,
            rounds_total=rounds_total,
            theme=theme,
            created_by=created_by,
            status=status,
            request_id=request_id,
        )
        return cast("Match", await self._do(command, timeout))

    async def update_match(
        self,
        post_id: str,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
        **fields: object,
    ) -> Match:
        """Change fields of an open match. Raises `NotFound`, `MatchClosed`, `InvalidValue`."""
        return cast("Match", await self._do(update_of(UpdateMatch, post_id, **fields, request_id=request_id), timeout))

    async def cancel_match(self, post_id: str, *, request_id: str | None = None, timeout: float | None = None) -> Match:
        """Cancel an open match; a cancelled one stays as it is. Raises `NotFound`, `MatchClosed`."""
        return cast("Match", await self._do(CancelMatch(post_id, request_id=request_id), timeout))

    async def create_round(
        self,
        post_id: str,
        index: int,
        *,
        prompt_text: str,
        reference_images: Sequence[str] = (),
        start_ts: Number,
        end_ts: Number,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Round:
        """Create a round and move the match to it. Raises `AlreadyExists`, `NotFound`, `MatchClosed`."""
        command = CreateRound(
            post_id,
            index,
            prompt_text=prompt_text,
            reference_images=reference_images,
            start_ts=start_ts,
            end_ts=end_ts,
            request_id=request_id,
        )
        return cast("Round", await self._do(command, timeout))

    async def update_round(
        self,
        post_id: str,
        index: int,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
        **fields: object,
    ) -> Round:
        """Change fields of a round; a closed one keeps its winner. Raises `NotFound`, `MatchClosed`, `InvalidValue`."""
        command = update_of(UpdateRound, post_id, index, **fields, request_id=request_id)
        return cast("Round", await self._do(command, timeout))

    async def close_round(
        self,
        post_id: str,
        index: int,
        *,
        winner_user: str | None = None,
        winner_comment_id: str | None = None,
        points: Number = 0,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Round:
        """Close a round and pay its winner one win and `points`, in one step; a closed round stays as it is."""
        command = CloseRound(
            post_id,
            index,
            winner_user=winner_user,
            winner_comment_id=winner_comment_id,
            points=points,
            request_id=request_id,
        )
        return cast("Round", await self._do(command, timeout))

    async def award_points(
        self,
        post_id: str,
        user: str,
        points: Number,
        *,
        wins: int = 0,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Score:
        """Add points (negative ones correct) to a player's score. Raises `NotFound`, `MatchClosed`."""
        command = AwardPoints(post_id, user, points, wins=wins, request_id=request_id)
        return cast("Score", await self._do(command, timeout))

    async def add_trophy(
        self,
        user: str,
        trophy: str,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Lifetime:
        """Append a trophy that the player does not hold yet."""
        return cast("Lifetime", await self._do(AddTrophy(user, trophy, request_id=request_id), timeout))

    async def record_analytics(
        self,
        post_id: str,
        *,
        invalid_rate: Number | None = None,
        avg_solve_time: Number | None = None,
        mod_responsiveness: Number | None = None,
        participation_rate: Number | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Analytics:
        """Fold one observation into a match's running means (times in s, rates as fractions)."""
        command = RecordAnalytics(
            post_id,
            invalid_rate=invalid_rate,
            avg_solve_time=avg_solve_time,
            mod_responsiveness=mod_responsiveness,
            participation_rate=participation_rate,
            request_id=request_id,
        )
        return cast("Analytics", await self._do(command, timeout))

    async def complete_match(
        self,
        post_id: str,
        *,
        trophies: Mapping[str, Sequence[str]] | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> list[Standing]:
        """Complete a match and settle every participant's lifetime and history, all or nothing."""
        command = CompleteMatch(post_id, trophies=trophies or {}, request_id=request_id)
        return cast("list[Standing]", await self._do(command, timeout))
