"""A moderator's bot with threads: `python -m bench.hosts.bot --data DIR --port N`.

It reads the comments of a post and replies. A moderator's comments are orders (`!match 3 landmarks`, `!round 0 golden
gate bridge`, `!award ann 5`, `!close 0`, `!complete`), everybody may ask for `!board` and `!me`, and anything else is
a guess: the round's prompt is what the picture shows. Comments come in as POST /comments, any number at once.

The id of a comment is the request id, and nothing is taken from the bot's own clock or counters: a comment that is
read twice, by another thread or after a crash, counts once.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from bench.hosts.door import Door
from bench.hosts.wire import BadRequest, fields_of, shown, whole
from pictact_actors import Store, StoreError

ROUND_S = 600
RIGHT_POINTS, CLOSE_POINTS = 10, 1
STOPPING = (signal.SIGTERM, signal.SIGINT)


class Comment(NamedTuple):
    """A comment under a post; `created_at` in epoch seconds."""

    post_id: str
    comment_id: str
    user: str
    text: str
    created_at: float


class Bot:
    """Replies to comments. Called by any number of threads: it keeps nothing itself."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def reply(self, comment: Comment) -> str:
        """Do what a comment says, once, and return what to answer. Raises `StoreError`, `BadRequest`."""
        match comment.text.split():
            case ["!board"]:
                return "\n".join(
                    f"{at.rank}. {at.user} {at.points:g}" for at in self.store.leaderboard(comment.post_id)
                )
            case ["!me"]:
                lifetime = self.store.lifetime(comment.user)
                return f"Wins: {lifetime.total_wins}, matches: {lifetime.matches_played}."
            case ["!match", rounds, *theme]:
                self.store.create_match(
                    comment.post_id,
                    subreddit="pics",
                    rounds_total=whole("rounds", rounds),
                    theme=" ".join(theme),
                    created_by=comment.user,
                    request_id=comment.comment_id,
                )
                return "A match begins."
            case [order, *words] if order.startswith("!"):
                return self._obey(comment, order, words)
        return self._judge(comment)

    def _obey(self, comment: Comment, order: str, words: list[str]) -> str:
        post_id, request_id = comment.post_id, comment.comment_id
        if self.store.match(post_id).created_by != comment.user:
            raise BadRequest("only the moderator who began the match gives orders", 403)
        match order, words:
            case "!round", [index, *prompt]:
                begin, end = comment.created_at, comment.created_at + ROUND_S
                self.store.create_round(
                    post_id,
                    whole("round", index),
                    prompt_text=" ".join(prompt),
                    start_ts=begin,
                    end_ts=end,
                    request_id=request_id,
                )
                return "What does the picture show?"
            case "!award", [user, points]:
                score = self.store.award_points(post_id, user, whole("points", points), request_id=request_id)
                return f"{user} has {score.points:g} points."
            case "!close", [index]:
                closed = self.store.close_round(post_id, whole("round", index), request_id=request_id)
                return f"It was: {closed.prompt_text}."
            case "!complete", []:
                standings = self.store.complete_match(post_id, request_id=request_id)
                return f"{standings[0].user} wins the match!" if standings else "Nobody played."
        raise BadRequest(f"orders are !match N THEME, !round N PROMPT, !award USER N, !close N, !complete; not {order}")

    def _judge(self, comment: Comment) -> str:
        asked = self.store.round(comment.post_id, self.store.match(comment.post_id).current_round)
        if asked.winner_comment_id == comment.comment_id:
            return "Right, you win the round!"  # read twice
        if asked.closed or not asked.start_ts <= comment.created_at <= asked.end_ts:
            return "No round is open."
        guess, answer = comment.text.casefold().split(), asked.prompt_text.casefold().split()
        if guess == answer:
            closed = self.store.close_round(
                comment.post_id,
                asked.index,
                winner_user=comment.user,
                winner_comment_id=comment.comment_id,
                points=RIGHT_POINTS,
                request_id=comment.comment_id,
            )
            return "Right, you win the round!" if closed.winner_user == comment.user else "Right, but too late."
        if set(guess).isdisjoint(answer):
            return "No."
        score = self.store.award_points(comment.post_id, comment.user, CLOSE_POINTS, request_id=comment.comment_id)
        return f"Close! You have {score.points:g} points."

    def answer(self, method: str, path: str, body: bytes) -> object:
        """Answer an HTTP request: a comment that comes in, or a page that somebody looks at."""
        match method, [unquote(part) for part in path.strip("/").split("/")]:
            case "POST", ["comments"]:
                return {"reply": self.reply(_comment(fields_of(body)))}
            case "GET", ["matches", post_id]:
                return shown(self.store.match(post_id))
            case "GET", ["matches", post_id, "leaderboard"]:
                return shown(self.store.leaderboard(post_id))
            case "GET", ["matches", post_id, "scores", user]:
                return shown(self.store.score(post_id, user))
            case "GET", ["players", user]:
                return shown(self.store.player(user))
        raise BadRequest("there is no such page", 404)


def main() -> None:
    """Reply until SIGTERM or Ctrl-C, then finish what is in flight."""
    parser = argparse.ArgumentParser(prog="python -m bench.hosts.bot", description="A moderator's bot on the store.")
    parser.add_argument("--data", type=Path, default=Path("game-data"), help="its data directory (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="on this machine only; 0: any free one (%(default)s)")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # for all threads to come: `sigwait` takes them
    try:
        with Store.open(options.data) as store, Door(options.port, Bot(store).answer) as door:
            door.begin()
            print(f"Running on http://127.0.0.1:{door.server_port}", flush=True)
            signal.sigwait(STOPPING)
    except (OSError, OverflowError, StoreError) as error:
        sys.exit(f"cannot serve: {error}")


def _comment(fields: dict[str, object]) -> Comment:
    match fields:
        case {
            "postId": str(post_id),
            "commentId": str(comment_id),
            "user": str(user),
            "text": str(text),
            "createdAt": int() | float() as created_at,
        }:
            return Comment(post_id, comment_id, user, text, created_at)
    raise BadRequest("a comment has postId, commentId, user, text (all text) and createdAt (epoch seconds)")


if __name__ == "__main__":
    main()
