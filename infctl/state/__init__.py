"""Owns what infctl remembers: snapshot, journal, leased lock, stores, recovery.

Knows nothing of plans, of providers' insides, or of terminals.
"""
