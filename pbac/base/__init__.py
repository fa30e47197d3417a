"""Layer 0: positions, diagnostics, strict JSON, limits, clock. Imports nothing of ours."""
