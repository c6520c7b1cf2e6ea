"""Settings of every test."""

from hypothesis import settings

# A busy machine is no fault of the code: speed is measured in benchmarks/, never asserted here.
settings.register_profile("jalon", deadline=None)
settings.load_profile("jalon")
