"""Chat over WebSocket: the wire, the frames, and the session behind each socket."""
