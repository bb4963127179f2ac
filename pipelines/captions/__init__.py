"""Generation and reranking of captions."""
