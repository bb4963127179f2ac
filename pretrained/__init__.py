"""Releases of captioners that come with the program; `flickr8k` captions images when no other model is named."""
