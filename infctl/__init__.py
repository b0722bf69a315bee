"""infctl: one inference.yaml says which models run, what they owe and where they may live.

The package root owns the version and nothing else, so that importing it costs nothing.
"""

__version__ = "0.1.0"
