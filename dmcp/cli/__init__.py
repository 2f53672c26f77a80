"""What a user types: one module for each command. Not here: what the commands are made of."""
