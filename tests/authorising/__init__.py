"""Every route of the application, how it is called, and a town in which each finds what it names."""
