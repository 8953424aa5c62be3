"""Messages of failure in logs, whoever printed them: texts as data, one grammar for who and where."""
