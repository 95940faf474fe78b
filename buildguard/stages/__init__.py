"""Where source is stored: commit, index, working tree, archive, manifest; each is listed, read and hashed."""
