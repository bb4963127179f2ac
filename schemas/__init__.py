"""The contracts: what an artifact holds, how it is read, written and validated."""
