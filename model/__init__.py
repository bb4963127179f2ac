"""The mathematics, on arrays and Keras models: no Beam, no Luigi, no knowledge of where files lie."""
