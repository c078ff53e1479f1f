"""Use cases: read, decide, write, commit, ring and tell. A service owns its transaction."""
