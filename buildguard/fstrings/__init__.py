"""The f-string rules of PEP 701 and the repair of what an older Python rejects."""
