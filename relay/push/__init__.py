"""Streams pushed to other platforms by RTMP and RTMPS."""
