"""What is known of a value before there is one: kinds, and what schemas of tools say about them."""
