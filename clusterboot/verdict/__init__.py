"""Verdicts: what rows prove, and what they do not."""
