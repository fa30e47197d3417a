"""Layer 1: the shared vocabulary. What a request holds, what a decision says."""
