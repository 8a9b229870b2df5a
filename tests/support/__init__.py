"""What tests share: clocks, clients, real services."""
