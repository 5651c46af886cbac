"""What was committed: the journal, and the base that its oldest part was folded into."""
