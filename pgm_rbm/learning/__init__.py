"""Learning by CD, PCD and exact maximum likelihood: settings, steps, monitor, history and checkpoints."""
