"""What is fast and what is not, beside the model card's way, in one run on one machine."""
