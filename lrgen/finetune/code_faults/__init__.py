"""Faults in the code of compositions: common mistakes, applied to code and executed."""
