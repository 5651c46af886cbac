"""What the game's records are and what each command does to them: pure, without threads, disk or clock."""
