"""What the main jobs cost, each beside a peer that does the same job in the same run."""
