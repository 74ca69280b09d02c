"""Whether an image is a film poster: training and answering."""
