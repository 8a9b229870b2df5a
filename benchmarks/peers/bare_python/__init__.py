"""The yardstick: what Python and aiohttp can do for Bayeux when nothing is checked, bounded or remembered."""
