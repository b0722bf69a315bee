"""Owns what each engine is: how a model is asked of it, which arguments it takes, how it answers.

One file per engine. Reads model files' headers and nothing else; knows no target, no provider and no process.
"""
