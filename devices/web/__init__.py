"""Any phone, through its browser."""
