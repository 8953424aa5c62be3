"""Who trusts whom among the nodes: surveyed, decided, planned, applied, proven, taken back."""
