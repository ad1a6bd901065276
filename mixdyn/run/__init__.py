"""Running a sampler: blocks, seeds, starts, and what is observed on the way. Defines no sampler."""
