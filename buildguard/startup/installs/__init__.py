"""Whether what a Dockerfile installs can be installed there: locked wheels, local wheelhouses, unlocked requirements."""
