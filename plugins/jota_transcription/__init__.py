"""The Transcription API: offers the ears of this host to other machines, and uses another machine's."""
