"""Mutants of every file that edgekit reads from elsewhere, and the commands that read them."""
