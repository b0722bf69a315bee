"""Owns inference.lock.yaml: its text, and how it compares with what would be decided now. (Signatures first.)"""

from __future__ import annotations
