"""Serving: the lane in front of the device, and the routes of the page's scripts."""
