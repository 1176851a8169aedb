"""The rules of the trip, pure: no file, no network, no clock. Everything here can be tested with plain values."""
