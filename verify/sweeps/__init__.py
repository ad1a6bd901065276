"""Claims on thousands of random problems: shards, on many processes, and what they say together."""
