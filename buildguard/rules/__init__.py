"""The f-string rules and their repairs: bytes in, findings and edits out. Pure, and imported piece by piece."""
