"""Owns what a model needs: memory now; latency, capacity and cost later. Pure figures, each with its source."""
