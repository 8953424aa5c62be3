"""Which address each node is reached at by MPI, and the hostfiles that say so."""
