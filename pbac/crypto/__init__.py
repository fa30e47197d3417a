"""Layer 2: keys and JOSE. Pure functions over bytes; nothing here reads a file or a clock."""
