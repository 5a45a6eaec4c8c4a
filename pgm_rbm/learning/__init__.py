"""Learning: CD, PCD and exact maximum likelihood, with what they need and what they record."""
