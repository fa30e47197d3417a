"""Layer 4: the rules of OAuth, without storage, clock, randomness or policy: all are passed in.

A *rule* that reads or changes state is a synchronous function over a `storage.Transaction`.
"""
