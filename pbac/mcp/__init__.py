"""Layer 4: the Model Context Protocol as values. Bytes in, values out; no sockets, no clock."""
