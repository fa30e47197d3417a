"""Layer 4: what happened, its canonical bytes, the tree over them, and the proof of it."""
