"""Judges drafts before they are published."""
