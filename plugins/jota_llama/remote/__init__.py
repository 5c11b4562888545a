"""A model server that already runs, here or elsewhere: llama-server, Ollama, vLLM and their kin."""
