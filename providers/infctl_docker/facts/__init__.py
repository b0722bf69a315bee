"""Owns pure readings of what commands and the daemon print: text in, values out.

A fact is a command and a parser of what it prints; the tables in tests/cases/facts hold real outputs. Knows nothing
of hosts, connections or containers, and does no I/O.
"""
