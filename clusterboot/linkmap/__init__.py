"""All pairs of nodes: planned, measured, and what they say of nodes, links and groups."""
