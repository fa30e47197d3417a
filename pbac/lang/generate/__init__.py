"""Rules into Python functions, through syntax trees of our own making. `generate` is the door."""
