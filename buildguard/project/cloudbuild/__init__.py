"""Cloud Build's configuration files: reading, checking, editing and shortening them."""
