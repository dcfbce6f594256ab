"""Redaction: secrets, names and places out of documents and texts."""
