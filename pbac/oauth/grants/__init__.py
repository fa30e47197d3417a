"""One grant, one file: what each asks of the client and which scopes it requests."""
