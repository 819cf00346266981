"""Rounds, what they read, and what is told of it."""
