"""What the faces (HTTP, remote calls, Kafka) ask for: the operations of the care layer, over the stores."""
