"""Documentation; what can be generated is made by ``make docs``."""
