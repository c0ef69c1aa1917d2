"""`python -m ecg_lib`."""

import sys

from ecg_lib.cli import main

sys.exit(main())
