"""RTMP (Adobe's specification 1.0 of 2012, and Enhanced RTMP v2): a codec without I/O, and the ingest server on it."""
