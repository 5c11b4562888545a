"""The words on the wire: topics, payloads and audio frames of `jota/v1`."""
