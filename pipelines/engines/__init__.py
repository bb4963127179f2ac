"""Data-parallel work: shards, and the engines that map a function over them."""
