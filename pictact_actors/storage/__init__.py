"""Where commits become durable: files, locks and syncs of one machine, behind one small protocol (`engine.py`)."""
