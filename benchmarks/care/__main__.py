"""``python -m benchmarks.care [--short]``: all that is measured of the care layer, one after the other."""

import subprocess
import sys

SCRIPTS = ("headline", "task_events", "store", "presence")


def main() -> int:
    """Run each script with the arguments given; return 0 if all reach their targets."""
    failed = 0
    for name in SCRIPTS:
        print(f"\n{name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=False).returncode
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
