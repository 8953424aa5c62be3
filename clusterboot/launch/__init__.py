"""What mpirun is given, and a run that belongs to clusterboot from start to end."""
