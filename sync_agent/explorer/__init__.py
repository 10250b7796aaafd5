"""Azure Digital Twins Explorer, served to a browser on this machine, with a way to the twins."""
