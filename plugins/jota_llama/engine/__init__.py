"""The engine: llama.cpp in a child process, and everything that talks with it."""
