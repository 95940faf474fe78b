"""Google's services on loopback, to try and to test everything without an account. A means, not a product of its own."""
