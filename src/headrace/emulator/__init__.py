"""A stand-in for Vitally: a real HTTP server that behaves as the public documents say, with a switch for every unknown.

It stands apart from the rest of the program, which it is there to test; only the command line and tests start it.
"""

from headrace.emulator.clock import Clock, SystemClock
from headrace.emulator.journal import Entry
from headrace.emulator.server import Emulator, PortInUse, serve
from headrace.emulator.settings import EmulatorSettings, Fault

__all__ = ["Clock", "Emulator", "EmulatorSettings", "Entry", "Fault", "PortInUse", "SystemClock", "serve"]
