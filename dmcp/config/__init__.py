"""What the user wrote down: the configuration file, read, checked, resolved, compared and watched.

``model`` is what the rest of dmcp sees and ``diff`` compares two of them; both are pure.
``loading`` is the way in, the other modules serve it. Not here: what is done with a configuration.
"""
