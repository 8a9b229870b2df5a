"""Who is on which task: pure state plus time, and the port behind which it is kept."""
