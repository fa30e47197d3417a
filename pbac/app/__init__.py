"""Layer 7: configuration and assembly, the only place that knows everything."""
