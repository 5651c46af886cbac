"""Backups, and restoring a store from one as it was at a moment."""
