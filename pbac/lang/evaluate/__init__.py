"""What the language means, executed slowly: values, truths, operators, targets.

`interpret` is the door. Generated code calls the same functions: an operator is written once.
"""
