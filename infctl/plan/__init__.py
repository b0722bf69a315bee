"""Owns what would change and how: diff, planner, plan file. Pure but for the plan file's own reading and writing.

Knows nothing of providers' insides, of locks, or of terminals.
"""
