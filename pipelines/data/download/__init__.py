"""Resumable downloads and safe unpacking of archives."""
