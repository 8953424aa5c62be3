"""What all commands share: the cluster, the way to it, who is still in, and what is told meanwhile."""
