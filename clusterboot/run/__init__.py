"""A run that belongs to clusterboot from its start to the last process that it left."""
