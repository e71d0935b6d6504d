"""The release size of the killed lives; see ``release.py``."""

import sys

from tests.fault.transfers.release import main

if __name__ == "__main__":
    sys.exit(main())
