"""Whether what a source imports can be imported on its target; nothing of the source is imported or run."""
