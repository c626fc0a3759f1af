"""How long must records be: the parts of `seqprep lengths` (S2)."""
