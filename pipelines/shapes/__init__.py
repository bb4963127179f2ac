"""The parts of the generated corpus `shapes`: what is in a picture, how it is drawn, what people say of it."""
