"""Log files: planned in one transaction with the follower's position, put as often as it takes, then done.

Digests lie beside it, in `digests/`. Everything here is written by the followers' process and lies in its own database.
"""
