"""Effects: what a task does to the outside, captured on both sides without touching its code, and held back in a shadow."""
