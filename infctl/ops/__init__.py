"""Owns the use cases, one per file: each returns a result and never prints. Knows no flag and no terminal."""
