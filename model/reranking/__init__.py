"""Consensus reranking and nearest neighbors."""
