"""Saved torch.export programs (`.pt2`): what one may contain. Opening one with torch may run code."""
