"""One script for every figure in the README, the servers it is compared with, and their loads."""
