"""Archives, read as streams: strictly, without extracting anything; and the one that is sent, written the same each time."""
