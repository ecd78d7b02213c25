"""Media: live streams in and out."""
