"""HTTP Live Streaming (RFC 8216bis): playlists, and what a request for one asks. Pure."""
