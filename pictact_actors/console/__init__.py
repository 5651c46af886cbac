"""A door into a running store for the command line of another process: nothing but what its commands offer."""
