"""Layer 4: the decision point. A compiled policy set and a request in, a decision out."""
