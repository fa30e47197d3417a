"""Layer 6: everything that owns a file, a database, a child process or an outgoing connection."""
