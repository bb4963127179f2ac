"""A release: a folder that others can use without this project, and what is done with it."""
