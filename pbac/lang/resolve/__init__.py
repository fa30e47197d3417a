"""What names mean: files become packages, definitions are put in place of their names."""
