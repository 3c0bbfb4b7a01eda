"""Datasets: rendered portraits and the caches that training reads."""
