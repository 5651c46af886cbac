"""What is done about damage: at an opening, while running, and what is kept for people to look at."""
