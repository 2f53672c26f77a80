"""Steps on the way of a call to its server and of its outcome back. Pure; ``dmcp.stages.pipeline`` runs them.

There is no stage yet: what a call passes is decided by ``STAGES``, one builder for each kind of stage.
"""
