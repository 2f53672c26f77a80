"""Signing in to remote servers: discovery, registration, PKCE, the token store and the loopback callback.

Deciding parts, without I/O: ``challenge``, ``discovery``, ``registration``, ``grants``, ``tokens``, ``record``.
The edge: ``web``, ``store``, ``callback``, ``browser``, ``flow``, and ``authorizer``, which
puts them together for the auth actor. Not here: when to do any of it, which is ``dmcp.actors.auth``'s to say.
"""
