"""Whole libraries of pictures: scored once, sorted, exported, their near-duplicates found."""
