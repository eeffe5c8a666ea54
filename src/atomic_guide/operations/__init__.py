"""What runs the system by itself: measures, forecasts, decides, acts, explains and is scored."""
