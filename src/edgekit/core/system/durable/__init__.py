"""What a full disk, a killed process and a second command leave whole: lines, outputs, owned temporary files."""
