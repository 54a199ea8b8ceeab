"""What a full disk, a killed process and a second command leave whole: files that grow by lines, and outputs."""
