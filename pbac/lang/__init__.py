"""Layer 3: the `.pbac` language. Text in, checked and compiled policy out.

Read the phases in this order: `parse` → `resolve` → `check` → `generate` (and `interpret`, the
executable specification), listed as stages in `compile`.
"""
