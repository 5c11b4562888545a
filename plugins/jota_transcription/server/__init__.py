"""The door: the public Transcription API's WebSocket, and OpenAI's route for files, on one port."""
