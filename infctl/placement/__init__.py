"""Owns which replica lives where. Pure; knows no provider."""
