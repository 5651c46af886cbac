"""An actor-based concurrent store for PicTact matches, embedded in the game host's process."""
