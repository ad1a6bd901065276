"""What a claim, a case and a verdict are, and how rows are judged and kept; no measurement."""
