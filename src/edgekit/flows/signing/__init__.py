"""Who made what is used: signatures of OpenSSH, and whom the user lets sign."""
