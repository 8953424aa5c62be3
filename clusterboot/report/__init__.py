"""What people and programs see: terminal, JSON, plots."""
