"""Missions, their specs, and the files that specs change."""
