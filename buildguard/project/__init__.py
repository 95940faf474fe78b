"""What the project's own files say: configuration, Dockerfile, target Python, services and ignore rules."""
