"""Layer 3: the `.pbac` language. Text in, checked and compiled policy out.

    syntax ──▶ resolve ──▶ check ──▶ generate        `compile` is the list of stages, and the door
    text       names       kinds     functions       `evaluate` is what all of it means, done slowly

`kinds` is what `check` knows of values, `lint` looks at what is sound, `layout` is `pbac fmt`. What
a phase may import is a contract in `pyproject.toml`.
"""
