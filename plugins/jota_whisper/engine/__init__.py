"""What runs in the child process: the ear on each stream, and the whisper.cpp contexts that decode."""
