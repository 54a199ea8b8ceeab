"""What a full disk and a killed process leave whole: files that grow by lines."""
