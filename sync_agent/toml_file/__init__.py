"""Files in TOML that people write: what they say, and on which line."""
