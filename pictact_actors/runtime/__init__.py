"""Actors that decide, a committer that makes real, and the memory that readers see. Nobody here waits on an actor."""
