"""The work of a job: files in, files out. Prints nothing."""
