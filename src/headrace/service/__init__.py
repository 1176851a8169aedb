"""What a person can ask for, once. Command line, API and pages call this and nothing under it."""
