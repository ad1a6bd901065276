"""What is given: mixture, schedule, noise of a seed. Data, no sampler; the kernels evaluate it."""
