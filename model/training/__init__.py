"""Training of the m-RNN and of backbones."""
