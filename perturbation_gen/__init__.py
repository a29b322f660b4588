"""What noise goes into the template? The Perturbation Generation Network, refinement, and the XOR that undoes both."""
