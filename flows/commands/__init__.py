"""What the commands of `seqprep` share, and those beside the main ones of `flows.cli`."""
