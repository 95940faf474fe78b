"""Google's services on the loopback address, with faults on request."""
