"""What is wrong in a resolved set, and what it may cost. `check` and `cost` are the doors."""
