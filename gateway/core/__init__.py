"""The pure core: flags, routing, the words of a comparison, the ports. No I/O, no clock, no framework."""
