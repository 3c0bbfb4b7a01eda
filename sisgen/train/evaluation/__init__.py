"""Evaluation of a model: how well its pictures follow masks, stage by stage, and how natural they stay."""
