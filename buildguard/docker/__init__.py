"""The container engine: images, sandboxed interpreters, services under test and build steps."""
