"""Layer 4: what a permit demands beside the permit: joined, carried out, or the call is refused."""
