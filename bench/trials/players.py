"""Who plays where, the same for every subject."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle, product

from bench.subjects.protocol import Draw, Subject

MATCHES, PLAYERS = 16, 256
POSTS = [f"t3_match{n}" for n in range(MATCHES)]
USERS = [f"player{n}" for n in range(PLAYERS)]
DRAWS = 4096
"""Players drawn in advance for each sender, so that drawing is not timed."""


def draws(seed: int, sender: int) -> Iterator[Draw]:
    """Players to award, uniform over all matches."""
    return cycle(random.Random(f"{seed}/{sender}").choices(list(product(POSTS, USERS)), k=DRAWS))


def fill(subject: Subject) -> int:
    """Give every player a first point, so that all reads find something. Returns how many points that are."""
    subject.create(POSTS)
    for post in POSTS:
        subject.load(post, dict.fromkeys(USERS, 1))
    return len(POSTS) * len(USERS)
