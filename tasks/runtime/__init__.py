"""Execution of stages in processes of their own."""
