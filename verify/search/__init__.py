"""The adversary: problems drawn to make a claim fail, and what it found. No claim."""
