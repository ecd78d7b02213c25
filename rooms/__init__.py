"""The domain: rooms, their commands and events. Pure: no I/O, no clock, no randomness."""
