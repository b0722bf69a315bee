"""Owns the command line: one file per command, each parse -> op -> view -> exit code. Decides nothing else."""
