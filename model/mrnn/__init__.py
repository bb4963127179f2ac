"""The m-RNN network and its variants."""
