"""Studies of ClinicalTrials.gov, from version 2 of its API."""
