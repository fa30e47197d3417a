"""Layer 6: the aiohttp shell. A handler converts, calls one function and converts back."""
