"""Facts that ship with infctl, as data with their sources: GPUs, model architectures, instance types and prices."""
