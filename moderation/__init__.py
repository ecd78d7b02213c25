"""Judges drafts before they are published."""

from moderation.words import WordList

__all__ = ["WordList"]
