"""What any net needs: a device, weights that are what they should be, one copy in memory."""
