"""`python3` on Amazon Linux 2023 is 3.9 for as long as that release lives; the lab has no 3.9 to run, so a script that relies on it stops here."""

import sys

if __name__ == "__main__":
    if sys.argv[2:] in (["--version"], ["-V"]):
        print("Python 3.9.25")
        sys.exit(0)
    print("python3: this is the system's Python 3.9, too old for spotbatch: install python3.11 or newer with dnf", file=sys.stderr)
    sys.exit(1)
