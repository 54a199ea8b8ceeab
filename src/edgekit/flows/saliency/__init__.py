"""Where in an input a prediction comes from: found by occlusion on any artifact, and drawn."""
