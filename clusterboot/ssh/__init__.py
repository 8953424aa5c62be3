"""The only room that speaks SSH: open, pinned, bounded sessions on every host."""
