"""Tasks that wait for a job that something else submitted."""
