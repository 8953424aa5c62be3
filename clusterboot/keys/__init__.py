"""Who trusts whom among the nodes: planned, installed, proven, taken back."""
