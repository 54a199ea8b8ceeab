"""Devices with a shell, over ssh or adb."""
