"""`python -m pefc.cli` is `pefc`."""

from .main import main

main()
