"""What dmcp remembers between two runs besides sign-ins. It moves bytes; what stands in them is decided elsewhere."""
