"""Real Docker hosts on one Linux machine, for tests: see README.md."""
