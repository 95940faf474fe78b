"""Who compiles: a local interpreter, a container, Cloud Build, or a prediction."""
