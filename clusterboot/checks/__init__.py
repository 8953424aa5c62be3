"""Is each node fit for a launch, looked at before anything is launched."""
