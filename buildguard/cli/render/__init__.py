"""Results as text, JSON, SARIF, GitHub annotations and HTML."""
