"""Owns making a plan true: executor, gates, undo, interrupts, and the check that a plan still holds.

Knows nothing of how a plan was made, of files, or of terminals.
"""
