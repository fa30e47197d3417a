"""Layer 5: the enforcement point. Where identity, policy, protocol and record meet.

Read `pipeline` first: one request, one step a line.
"""
