"""What is sound and yet hardly meant. `lint` is the door, `lints` the table."""
