"""What an ordinary run comes to: the sums of the numbers that tests use. What is not chosen by us comes on top."""

from __future__ import annotations

import amounts
from deeds import COMMANDS
from harmed import HARMS
from test_kill import CONFIGS
from test_power import FILE_SYSTEMS

SAMPLES = 2
"""One at rest, one killed."""


def test_an_ordinary_run_kills_five_hundred_times_at_random() -> None:
    evenings = len(CONFIGS) * amounts.EVENINGS * amounts.KILLS_AN_EVENING
    creations = amounts.CREATIONS * amounts.KILLS_A_CREATION
    assert evenings + creations + amounts.BACKUP_KILLS + amounts.RESTORE_KILLS + amounts.CLEANUP_KILLS >= 500


def test_an_ordinary_run_kills_a_dozen_commands_at_all_of_their_calls() -> None:
    assert len(COMMANDS) >= 12


def test_an_ordinary_run_cuts_the_power_of_two_file_systems_two_hundred_times_each() -> None:
    evenings = len(CONFIGS) * amounts.CUTS_AN_EVENING
    steps = amounts.CREATION_CUTS + amounts.CLEANUP_CUTS + amounts.COMPLETION_CUTS + amounts.END_CUTS
    assert len(FILE_SYSTEMS) == 2
    assert evenings + steps >= 200


def test_an_ordinary_run_damages_a_thousand_files() -> None:
    ways = len(HARMS) - 1  # not every file has an older copy that differs
    assert (amounts.FILES_AT_REST + amounts.FILES_KILLED) * ways + SAMPLES * amounts.RANDOM_HARMS >= 1_000
