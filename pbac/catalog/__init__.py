"""Layer 4: the catalog. Which backends there are, their tools, the scope each call needs."""
