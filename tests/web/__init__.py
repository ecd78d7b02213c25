"""The web client in headless Chromium."""
