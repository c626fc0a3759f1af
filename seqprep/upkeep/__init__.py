"""What keeps a store in order: who uses it, what may go, what was withdrawn, what was altered."""
