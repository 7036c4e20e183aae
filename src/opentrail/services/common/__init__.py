"""What the control planes of several services share: tags."""
