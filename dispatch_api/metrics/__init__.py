"""What Outrider tells about itself, in the text form that Prometheus reads."""
