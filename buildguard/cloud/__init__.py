"""The cloud engine: sources compiled in Cloud Build, where they were sent, and the workspace that they were compiled in."""
