"""Who decides. Each actor owns its state, handles one message at a time, and never waits."""
