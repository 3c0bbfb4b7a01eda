"""Training: one shared loop, one trainer a file."""
