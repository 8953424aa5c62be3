"""Is each node fit for a launch: checks, each a question and a judge, made before anything is launched."""
