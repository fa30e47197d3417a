"""One canonical layout of a file. `format` is the door."""
