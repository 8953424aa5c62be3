"""Verdicts: what rows and matrices prove, and what they do not."""
