"""Owns the places that exist only for tests: they keep the provider protocol and pass the conformance suite.

To use them from a real command line put this folder and the repository's root on PYTHONPATH: the dist-info beside
this file registers them as targets of type `memory` and `failing`.
"""
