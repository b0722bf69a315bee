"""The local target: real llama.cpp engines as supervised background processes on this machine."""
