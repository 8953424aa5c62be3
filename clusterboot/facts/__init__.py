"""What the nodes are: each fact a shell snippet and a pure parser."""
