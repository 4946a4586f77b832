"""Films: frames, shots, one recipe a shot. Needs PyAV, nulie's extra [video]."""
