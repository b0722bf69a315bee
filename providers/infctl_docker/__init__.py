"""Targets of type docker: Docker hosts that stand in a rack, and the models that run on them."""
