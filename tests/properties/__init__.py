"""Properties that Hypothesis tries to break."""
