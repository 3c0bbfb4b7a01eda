"""Files in and out: pictures, label maps, weights."""
