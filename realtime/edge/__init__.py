"""The stream-edge process: what viewers of fMP4 and HLS, of recordings and posters are served by (decision 20)."""
