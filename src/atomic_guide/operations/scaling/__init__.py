"""How much of each component runs: forecast, policies, and the simulator that scores them on recorded demand."""
