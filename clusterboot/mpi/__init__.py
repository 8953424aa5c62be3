"""What each MPI is given: its command line, its hostfile, its logins, its environment."""
