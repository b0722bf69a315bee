"""Owns the configuration language: YAML text in, one typed `Stack` or every problem of every file out.

Knows no provider: what a type of target takes and serves comes in as an argument. Import from the submodules; this
file stays empty so that nothing loads unused.
"""
