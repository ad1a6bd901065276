"""What the learned rows measure: the trained models of a case, their rates, paths and fields."""
