"""One module for each verb of the command line; each returns a result and prints nothing."""
