"""The new world: event handlers, their bus and their runtime. It outlives the gateway and depends on no part of it."""
