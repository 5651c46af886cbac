"""Every record's latest value in LevelDB: it follows the truth, and is built anew from it."""
