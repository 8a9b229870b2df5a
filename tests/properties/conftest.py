from hypothesis import settings

# The same examples on every run, and no opinion on how fast a machine is that does other things meanwhile.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")
