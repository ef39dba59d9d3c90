"""Real and scripted servers for the end-to-end tests; everything listens on 127.0.0.1 only."""
