"""Live streams on the gateway's side: who may publish and watch, and what follows from it."""
