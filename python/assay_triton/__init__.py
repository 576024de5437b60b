"""Records what a Triton candidate asks the GPU to do. record.py opens with the theory of operation."""
