"""Owns how results look: as text and as JSON. Renders values, decides nothing, reads nothing."""
