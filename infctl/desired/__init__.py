"""Owns what must exist: from a stack, its lock file and the facts to one wish per model and target."""
