"""Tests of the Python client against a scripted WebSocket server."""
