"""nulie from a checkout, without installing it: python standalone.py photo.jpg"""

from nulie.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
