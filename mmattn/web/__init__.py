"""The web page of `mmattn demo`: what it asks of models, takes from browsers and serves."""
