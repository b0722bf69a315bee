"""Owns everything a plugin may import: the protocol, its values, errors, the registry and the conformance kit.

Knows no provider by name. Import from the submodules; this file stays empty so that nothing loads unused.
"""
