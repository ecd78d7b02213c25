"""WebRTC: WHIP in and WHEP out, on one UDP port, without a peer connection on our side."""
