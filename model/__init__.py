"""Network, training, decoding and metrics on arrays and Keras models, without Beam, Luigi or file locations."""
