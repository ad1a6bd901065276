"""What a score error can cost at most, from the divergence of paths."""
