"""Training on own samples, generation after generation; the only room that runs and trains."""
