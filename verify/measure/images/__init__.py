"""What trained networks do on images: samples counted and saved, recursions, scores to compare."""
