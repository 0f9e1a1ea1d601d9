"""What a run for several platforms does besides building: resolves sources first, makes an index last."""
