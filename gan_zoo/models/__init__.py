"""One paper, one file: its networks and its rules."""
