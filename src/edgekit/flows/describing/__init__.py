"""What a user says of a bare file, so that its inputs and outputs are read as those of a bundle."""
