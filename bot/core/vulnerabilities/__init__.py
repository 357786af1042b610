"""What a scanner found in two images, and what that means for an upgrade from one to the other. Pure."""
