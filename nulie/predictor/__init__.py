"""Aesthetic predictors: the protocol, and the ones that nulie brings along."""
