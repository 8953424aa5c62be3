"""Nodes that Slurm owns: their states, one job on them, and sessions by the steps of that job."""
